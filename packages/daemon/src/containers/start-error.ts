/**
 * What a failed start means: exit code and HTTP status, judged by the runtime's own words as Docker's clients do. This is the
 * one place where text decides, because the OCI runtime reports nothing but text.
 */
import { BoxshipError, messageOf } from '@boxship/base';

export interface StartFailure {
  readonly exitCode: number;
  readonly error: BoxshipError;
}

const bindHint =
  ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type';

/** containerd's text for a failure of the runtime, with the class name at its end as Docker's clients print it. */
export const runtimeText = (error: unknown): string =>
  BoxshipError.is(error, 'unknown') ? `${error.message}: unknown` : messageOf(error);

export function startFailure(error: unknown): StartFailure {
  const message = runtimeText(error);
  const text = message.toLowerCase();
  const has = (...words: readonly string[]) => words.some((word) => text.includes(word));
  if (BoxshipError.is(error) && error.kind === 'invalidArgument') return { exitCode: 128, error };
  if (has('not a directory') && has('mount'))
    return { exitCode: 127, error: badRequest(`${message}${bindHint}`, error) };
  if (has('executable file not found', 'no such file or directory', 'system cannot find the file specified'))
    return { exitCode: 127, error: badRequest(message, error) };
  if (has('permission denied', 'is a directory')) {
    const needsSuffix = has('is a directory') && !has('permission denied');
    return { exitCode: 126, error: badRequest(needsSuffix ? `${message}: permission denied` : message, error) };
  }
  return { exitCode: 128, error: new BoxshipError(BoxshipError.from(error).kind, message, { cause: error }) };
}

const badRequest = (message: string, cause: unknown) => new BoxshipError('invalidArgument', message, { cause });
