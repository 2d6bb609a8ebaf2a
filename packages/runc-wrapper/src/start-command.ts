/**
 * Starts the runtime, in one of two ways. A verb that is only to be carried out is started by posix_spawn: fork(2) would stop
 * the caller for milliseconds, three times per container. Where output is wanted, execa reads it.
 */
import { constants } from 'node:os';
import { BoxshipError } from '@boxship/base';
import { spawnProcess } from '@boxship/linux';
import { execa, type Options } from 'execa';
import type { Invocation } from './invocation.ts';

export interface StartedCommand {
  /** Undefined when it did not start: `ended` rejects. */
  readonly pid: number | undefined;
  readonly ended: Promise<Ended>;
}

export interface Ended {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** Standard output and error, empty unless wanted. */
  readonly output: string;
  readonly errorOutput: string;
}

/** @throws (or `ended` rejects with) notFound when the runtime is not installed; unavailable */
export function startCommand(call: Invocation, args: readonly string[]): StartedCommand {
  return call.isOutputWanted === true ? startForOutput(call, args) : startQuietly(call, args);
}

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** One thread of Go at a time: what a runtime does is one thing after the other, and each further thread costs it time. */
const environment = (call: Invocation): Record<string, string> => ({
  PATH: process.env['PATH'] ?? defaultPath,
  XDG_RUNTIME_DIR: process.env['XDG_RUNTIME_DIR'] ?? '/run',
  GOMAXPROCS: '1',
  ...call.environment,
});

const signalNames = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

function startQuietly(call: Invocation, args: readonly string[]): StartedCommand {
  const { stdin, stdout, stderr, extra = [] } = call.stdio ?? {};
  try {
    const { pid, ended } = spawnProcess(call.binary, {
      arguments: args,
      env: environment(call),
      stdio: [stdin, stdout, stderr, ...extra],
      workingDirectory: call.workingDirectory,
    });
    return { pid, ended: ended.then(endOf) };
  } catch (cause) {
    throw notStarted(call.binary, cause);
  }
}

function endOf(waitStatus: number): Ended {
  const signal = waitStatus & 0x7f;
  return {
    exitCode: signal === 0 ? waitStatus >> 8 : undefined,
    signal: signal === 0 ? undefined : (signalNames.get(signal) ?? `signal ${signal}`),
    output: '',
    errorOutput: '',
  };
}

function startForOutput(call: Invocation, args: readonly string[]): StartedCommand {
  const child = execa(call.binary, args, outputOptions(call));
  const ended = child.then((result) => {
    const { exitCode, signal, stdout, stderr } = result;
    if (child.pid === undefined) throw notStarted(call.binary, result.cause ?? result);
    return { exitCode, signal, output: text(stdout), errorOutput: text(stderr) };
  });
  return { pid: child.pid, ended };
}

const text = (output: unknown): string => (typeof output === 'string' ? output.trim() : '');

export function outputOptions(call: Invocation): Options {
  return {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment(call),
    extendEnv: false,
    reject: false,
    // a group of its own: a signal to ours does not reach it, and its tree can be ended at once
    detached: true,
    cleanup: false,
    forceKillAfterDelay: false,
    ...(call.workingDirectory !== undefined && { cwd: call.workingDirectory }),
  };
}

export function notStarted(binary: string, cause: unknown): BoxshipError {
  const code = codeOf(cause);
  return code === 'ENOENT'
    ? new BoxshipError(
        'notFound',
        `OCI runtime ${binary} is not installed: exec: "${binary}": executable file not found in $PATH`,
        { cause },
      )
    : new BoxshipError('unavailable', `OCI runtime ${binary} cannot be started: ${code ?? 'unknown reason'}`, {
        cause,
      });
}

function codeOf(cause: unknown): string | undefined {
  const code = BoxshipError.is(cause) ? cause.details['code'] : (cause as NodeJS.ErrnoException | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}
