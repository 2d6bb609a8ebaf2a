/** Errors of the runtime in containerd's words: Docker's clients cut the prefix and read exit codes out of the rest. */
import { BoxshipError } from '@boxship/base';

/** `OCI runtime create failed: …`, gRPC code 2; deadlines and our own errors keep their kind. */
export function runtimeFailure(verb: string, error: unknown): BoxshipError {
  const e = BoxshipError.from(error);
  const isRuntimes = 'exitCode' in e.details || e.kind === 'notFound';
  if (!isRuntimes) return e;
  return new BoxshipError('unknown', `OCI runtime ${verb} failed: ${e.message}`, { cause: e, details: e.details });
}

/** What a signal met: containerd's mapping of the words of a failed kill. */
export function killFailure(error: unknown): BoxshipError {
  const e = BoxshipError.from(error);
  if (e.kind === 'failedPrecondition') return new BoxshipError('notFound', 'process already finished', { cause: e });
  if (e.kind === 'notFound') return new BoxshipError('notFound', 'no such container', { cause: e });
  if (e.kind === 'deadlineExceeded') return e;
  return new BoxshipError('unknown', `unknown error after kill: ${e.message}`, { cause: e });
}
