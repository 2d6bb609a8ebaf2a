export { BoxshipError, messageOf, type BoxshipErrorOptions, type ErrorKind } from './errors.ts';
export { fromGrpcStatus, toGrpcStatus, type GrpcStatus } from './errors-grpc.ts';
export { fromHttpStatus, toHttpStatus } from './errors-http.ts';
export { silentLogger, type Logger, type LogFields, type LogLevel } from './log.ts';
export { sleep, withDeadline, type Deadline } from './deadline.ts';
export { KeyedMutex } from './keyed-mutex.ts';
export { SingleFlight } from './single-flight.ts';
export { Broadcast } from './broadcast.ts';
export { poll, retry, type RetryOptions } from './retry.ts';
export { checkIdentifier, randomId, shortId } from './ids.ts';
export { syncDirectorySync, writeFileAtomicSync, type AtomicWriteOptions } from './atomic-file.ts';
export { formatDurationNs, parseDurationNs } from './duration.ts';
export { formatBinarySize, formatSize, parseSize } from './size.ts';
export {
  currentTraceparent,
  parseTraceparent,
  spanChannelName,
  withSpan,
  type Span,
  type SpanContext,
} from './trace.ts';
export { installShutdown, type ShutdownOptions } from './lifecycle.ts';
export { parseFilters, type FieldLookup, type FilterPredicate } from './filters.ts';
export { failPoint } from './fail-point.ts';
