/**
 * Kinds to gRPC status codes and back. The edge of both gRPC and ttrpc.
 *
 * containerd's convention: the status text ends in the class name (`: not found`). Go clients cut exactly that suffix off
 * before printing, so it is added once here and removed once here.
 */
import { BoxshipError, type ErrorKind } from './errors.ts';

const codes = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
  conflict: 9,
  notModified: 9,
} as const satisfies Record<ErrorKind, number>;

const suffixes: Partial<Record<ErrorKind, string>> = {
  unknown: 'unknown',
  invalidArgument: 'invalid argument',
  notFound: 'not found',
  alreadyExists: 'already exists',
  failedPrecondition: 'failed precondition',
  outOfRange: 'out of range',
  unimplemented: 'not implemented',
  unavailable: 'unavailable',
};

const classes = Object.values(suffixes);

const kinds = new Map<number, ErrorKind>();
for (const [kind, code] of Object.entries(codes) as [ErrorKind, number][]) if (!kinds.has(code)) kinds.set(code, kind);

export interface GrpcStatus {
  readonly code: number;
  readonly message: string;
  /** There where the code alone would be read back as another. */
  readonly kind?: ErrorKind;
}

/** The status to send for a thrown value. */
export function toGrpcStatus(error: unknown): GrpcStatus {
  const e = BoxshipError.from(error);
  const suffix = suffixes[e.kind];
  // an unknown error that wraps a known one says so itself
  const isNamed = (e.kind === 'unknown' ? classes : [suffix]).some((name) => e.message.endsWith(`: ${name}`));
  const message = suffix === undefined || isNamed ? e.message : `${e.message}: ${suffix}`;
  const code = codes[e.kind];
  return kinds.get(code) === e.kind ? { code, message } : { code, message, kind: e.kind };
}

/** Whether a text that came by a wire is a kind. */
export const isErrorKind = (text: string): text is ErrorKind => Object.hasOwn(codes, text);

/** The error for a received status. */
export function fromGrpcStatus(status: GrpcStatus, details?: Readonly<Record<string, unknown>>): BoxshipError {
  const kind = status.kind ?? kinds.get(status.code) ?? 'unknown';
  const suffix = suffixes[kind];
  const message =
    suffix !== undefined && status.message.endsWith(`: ${suffix}`)
      ? status.message.slice(0, -suffix.length - 2)
      : status.message;
  return new BoxshipError(kind, message, details === undefined ? {} : { details });
}
