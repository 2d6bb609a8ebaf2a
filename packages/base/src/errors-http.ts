/** Kinds to HTTP status codes, as the Docker Engine API uses them. */
import { BoxshipError, type ErrorKind } from './errors.ts';

const statuses = {
  notModified: 304,
  invalidArgument: 400,
  outOfRange: 400,
  unauthenticated: 401,
  permissionDenied: 403,
  notFound: 404,
  conflict: 409,
  alreadyExists: 409,
  failedPrecondition: 409,
  aborted: 409,
  unimplemented: 501,
  unavailable: 503,
  cancelled: 499,
  deadlineExceeded: 500,
  resourceExhausted: 500,
  dataLoss: 500,
  unknown: 500,
  internal: 500,
} as const satisfies Record<ErrorKind, number>;

export function toHttpStatus(error: unknown): number {
  return statuses[BoxshipError.from(error).kind];
}

/** The error behind a response of the Engine API. */
export function fromHttpStatus(status: number, message: string): BoxshipError {
  const kind: ErrorKind =
    status === 304
      ? 'notModified'
      : status === 400
        ? 'invalidArgument'
        : status === 401
          ? 'unauthenticated'
          : status === 403
            ? 'permissionDenied'
            : status === 404
              ? 'notFound'
              : status === 409
                ? 'conflict'
                : status === 501
                  ? 'unimplemented'
                  : status === 503
                    ? 'unavailable'
                    : 'unknown';
  return new BoxshipError(kind, message, { details: { status } });
}
