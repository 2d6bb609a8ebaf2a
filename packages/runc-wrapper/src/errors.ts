/**
 * Words and exit codes of runtimes as error kinds. The text of the runtime is kept word for word: Docker's clients read exit
 * codes 126 and 127 out of it.
 */
import { BoxshipError, type ErrorKind } from '@boxship/base';

const kinds: readonly (readonly [RegExp, ErrorKind])[] = [
  [/container with given id already exists|already exists/i, 'alreadyExists'],
  [/container (?:\S+ )?does not exist|no such container|container not found/i, 'notFound'],
  // crun and its state file
  [/error opening file `[^`]*\/status`: no such file/i, 'notFound'],
  [/process already finished|container not running|no such process|not running/i, 'failedPrecondition'],
  [
    // crun has taken its start FIFO away
    /cannot open `[^`]*\/exec\.fifo`|is not in `\w+`(?: or `\w+`)? state|is not stopped|already running|has stopped|stopped container|paused container|not paused|not created/i,
    'failedPrecondition',
  ],
  [/invalid container id|invalid id format/i, 'invalidArgument'],
  [/unknown command|no help topic|unrecognized subcommand|requires a maximum of \d+ arguments/i, 'unimplemented'],
];

/** The words of runc and crun for a host without it. */
const withoutCriu = /criu.*executable file not found|could not load `?libcriu/i;

/** The error for a command that ended with another code than 0. */
export function runtimeError(
  verb: string,
  id: string | undefined,
  exitCode: number | undefined,
  said: string | undefined,
): BoxshipError {
  const message =
    said === undefined
      ? `${verb} exited with ${exitCode === undefined ? 'a signal' : `code ${exitCode}`} and no message`
      : `${said}${withoutCriu.test(said) ? ': checkpoints need CRIU on the host, install its package criu' : ''}`;
  const kind = kinds.find(([pattern]) => pattern.test(message))?.[1] ?? 'unknown';
  return new BoxshipError(kind, message, { details: { verb, id, exitCode } });
}
