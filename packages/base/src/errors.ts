/**
 * The one error class of the engine and its closed list of kinds.
 *
 * Parts throw {@link BoxshipError} anywhere; only the edge files of a wire (`errors-grpc.ts`, `errors-http.ts`) translate a
 * kind into a code. Nobody matches on message text.
 */

/** What went wrong, as the caller needs to know it. The names follow the canonical gRPC codes. */
export type ErrorKind =
  | 'notFound' // the named object does not exist
  | 'alreadyExists' // an object of that name exists
  | 'invalidArgument' // the request can never succeed as it stands
  | 'failedPrecondition' // the object's state forbids the operation
  | 'conflict' // another object or request is in the way (HTTP 409)
  | 'notModified' // nothing to do (HTTP 304)
  | 'unavailable' // a part is down or busy: try again
  | 'unimplemented' // this build or host cannot do it
  | 'permissionDenied'
  | 'unauthenticated'
  | 'resourceExhausted' // a limit was reached
  | 'deadlineExceeded' // an external wait took too long
  | 'cancelled' // the caller went away
  | 'aborted' // a concurrent change won
  | 'outOfRange' // an offset beyond the data
  | 'dataLoss' // bytes do not match their digest
  | 'unknown' // another program (the OCI runtime, a registry) refused; its words are the message
  | 'internal'; // a defect of ours

export interface BoxshipErrorOptions {
  readonly cause?: unknown;
  /** Facts for machines: ids, paths, status codes. Never needed to understand the message. */
  readonly details?: Readonly<Record<string, unknown>>;
}

const brand = Symbol.for('boxship.error');

export class BoxshipError extends Error {
  readonly kind: ErrorKind;
  readonly details: Readonly<Record<string, unknown>>;
  readonly [brand] = true;

  constructor(kind: ErrorKind, message: string, options: BoxshipErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'BoxshipError';
    this.kind = kind;
    this.details = options.details ?? {};
  }

  /** True for errors of any copy of this class, also one loaded from another bundle. */
  static is(error: unknown, kind?: ErrorKind): error is BoxshipError {
    if (typeof error !== 'object' || error === null || !(brand in error)) return false;
    return kind === undefined || (error as BoxshipError).kind === kind;
  }

  /** Any thrown value as a BoxshipError; foreign errors become `internal`, system errors the kind of their errno. */
  static from(error: unknown): BoxshipError {
    if (BoxshipError.is(error)) return error;
    if (error instanceof Error) {
      const code = (error as NodeJS.ErrnoException).code;
      const kind: ErrorKind =
        error.name === 'AbortError'
          ? 'cancelled'
          : error.name === 'TimeoutError'
            ? 'deadlineExceeded'
            : kindOfErrno(code);
      return new BoxshipError(kind, error.message, { cause: error, details: code === undefined ? {} : { code } });
    }
    return new BoxshipError('internal', String(error));
  }
}

function kindOfErrno(code: string | undefined): ErrorKind {
  switch (code) {
    case 'ENOENT':
      return 'notFound';
    case 'EEXIST':
      return 'alreadyExists';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'permissionDenied';
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EMFILE':
    case 'ENFILE':
    case 'ENOMEM':
      return 'resourceExhausted';
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'EAGAIN':
    case 'EBUSY':
      return 'unavailable';
    case 'ETIMEDOUT':
      return 'deadlineExceeded';
    default:
      return 'internal';
  }
}

/** The message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
