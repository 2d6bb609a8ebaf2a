export { type AtomicWriteOptions, makeDirectorySync, syncDirectorySync, writeFileAtomicSync } from './atomic-file.ts';
export { Broadcast } from './broadcast.ts';
export { atMost, type Deadline, sleep, withDeadline } from './deadline.ts';
export { formatDurationNs, parseDurationNs } from './duration.ts';
export { BoxshipError, type BoxshipErrorOptions, type ErrorKind, messageOf } from './errors.ts';
export { fromGrpcStatus, type GrpcStatus, isErrorKind, toGrpcStatus } from './errors-grpc.ts';
export { fromHttpStatus, toHttpStatus } from './errors-http.ts';
export { failPoint } from './fail-point.ts';
export { type FieldLookup, type FilterPredicate, parseFilters } from './filters.ts';
export { checkIdentifier, randomId, shortId } from './ids.ts';
export { KeyedMutex } from './keyed-mutex.ts';
export { installShutdown, type ShutdownOptions } from './lifecycle.ts';
export { type LogFields, type Logger, type LogLevel, silentLogger } from './log.ts';
export { poll, type RetryOptions, retry } from './retry.ts';
export { SingleFlight } from './single-flight.ts';
export { formatBinarySize, formatSize, parseSize } from './size.ts';
export {
  currentTraceparent,
  parseTraceparent,
  type Span,
  type SpanContext,
  spanChannelName,
  withSpan,
} from './trace.ts';
export { recordSpans } from './trace-file.ts';
