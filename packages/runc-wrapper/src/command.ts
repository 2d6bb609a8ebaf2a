/**
 * One execution of the runtime. Rules that keep it from hanging or leaking:
 * - a container inherits the runtime's stdio, so it is never given a pipe of ours to hold open: descriptors or /dev/null;
 * - errors come through `--log`, the end through the exit of the process, not of its streams;
 * - the environment is spelled out; only descriptors 0, 1, 2 and the named extra ones are open in it (execa closes none, but
 *   everything else of ours is close-on-exec);
 * - at the deadline the whole tree is killed.
 */
import { randomBytes } from 'node:crypto';
import { BoxshipError, withDeadline, withSpan } from '@boxship/base';
import { markInheritedCloseOnExec } from '@boxship/linux';
import { execa, type Options } from 'execa';
import { runtimeError } from './errors.ts';
import { killTree } from './process-tree.ts';
import { lastError, removeLog } from './runtime-log.ts';

/** Descriptors for the container; undefined is /dev/null. */
export interface Stdio {
  readonly stdin?: number | undefined;
  readonly stdout?: number | undefined;
  readonly stderr?: number | undefined;
  /** Further ones, which the process gets as 3, 4, 5 … (`--preserve-fds`). */
  readonly extra?: readonly number[];
}

export interface CallOptions {
  /** Overrides the deadline of the verb. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Told the pid of the runtime when it has started, before anything it does can matter. */
  readonly onSpawn?: (pid: number) => void;
}

export interface Invocation extends CallOptions {
  readonly binary: string;
  readonly globalArguments: readonly string[];
  readonly logDirectory: string;
  readonly verb: string;
  readonly id?: string;
  readonly arguments: readonly string[];
  readonly stdio?: Stdio;
  /** True when standard output is wanted: only for verbs that leave no process behind. */
  readonly isOutputWanted?: boolean;
  /** Undefined: as long as it takes. */
  readonly defaultTimeoutMs: number | undefined;
  readonly workingDirectory?: string;
}

export interface Outcome {
  readonly exitCode: number;
  /** Standard output, empty unless wanted. */
  readonly output: string;
}

/** The longest that a timer takes. */
const FOR_EVER_MS = 2 ** 31 - 1;
const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs it as a span of the current trace; gives standard output (empty unless wanted). */
export async function invoke(call: Invocation): Promise<string> {
  const run = () =>
    execute(call, ({ exitCode, output }, said) => {
      if (exitCode !== 0) throw runtimeError(call.verb, call.id, exitCode, said);
      return output;
    });
  return await withSpan({ component: 'runtime', name: `${call.binary} ${call.verb}` }, run);
}

/**
 * Runs a verb that stays until a process of the container has ended and passes its exit code on. Only the log tells that code
 * from one of the runtime's own.
 */
export async function invokeToEnd(call: Invocation): Promise<number> {
  return await execute(call, ({ exitCode }, said) => {
    if (exitCode !== 0 && said !== undefined) throw runtimeError(call.verb, call.id, exitCode, said);
    return exitCode;
  });
}

async function execute<T>(call: Invocation, conclude: (outcome: Outcome, said: string | undefined) => T): Promise<T> {
  const log = logPath(call);
  const timeoutMs = call.timeoutMs ?? call.defaultTimeoutMs ?? FOR_EVER_MS;
  call.signal?.throwIfAborted();
  markInheritedCloseOnExec();
  const child = execa(call.binary, commandLine(call, log), processOptions(call));
  const { pid } = child;
  let hasEnded = false;
  if (pid !== undefined) call.onSpawn?.(pid);
  try {
    const result = await withDeadline(
      {
        component: call.binary,
        operation: call.verb,
        timeoutMs,
        ...(call.id !== undefined && { id: call.id }),
        ...(call.signal && { signal: call.signal }),
      },
      () => child,
    );
    hasEnded = true;
    if (pid === undefined) throw notStarted(call.binary, result.cause ?? result);
    const { exitCode } = result;
    if (exitCode === undefined)
      throw runtimeError(call.verb, call.id, undefined, `${call.binary} was ended by ${result.signal ?? 'a signal'}`);
    return conclude({ exitCode, output: text(result.stdout) }, lastError(log) ?? (text(result.stderr) || undefined));
  } catch (error) {
    if (pid !== undefined && !hasEnded) killTree(pid);
    throw error;
  } finally {
    removeLog(log);
  }
}

/** The log file of this command alone. */
export const logPath = ({ logDirectory, verb }: Pick<Invocation, 'logDirectory' | 'verb'>): string =>
  `${logDirectory}/.${verb}-${randomBytes(6).toString('hex')}.json`;

export const commandLine = (call: Invocation, log: string): string[] => [
  ...call.globalArguments,
  ...['--log', log, '--log-format', 'json'],
  call.verb,
  ...call.arguments,
];

const text = (output: unknown): string => (typeof output === 'string' ? output.trim() : '');

export function notStarted(binary: string, cause: unknown): BoxshipError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
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

export function processOptions(call: Invocation): Options {
  const own = call.isOutputWanted === true ? ('pipe' as const) : undefined;
  const { stdin, stdout, stderr, extra = [] } = call.stdio ?? {};
  return {
    stdio: [target(stdin), own ?? target(stdout), own ?? target(stderr), ...extra.map(target)],
    env: { PATH: process.env['PATH'] ?? path, XDG_RUNTIME_DIR: process.env['XDG_RUNTIME_DIR'] ?? '/run' },
    extendEnv: false,
    reject: false,
    // a group of its own: a signal to ours does not reach it, and its tree can be ended at once
    detached: true,
    cleanup: false,
    forceKillAfterDelay: false,
    ...(call.workingDirectory !== undefined && { cwd: call.workingDirectory }),
  };
}

// execa's types name the descriptors 0 to 9; any open one is taken
const target = (fd: number | undefined) => (fd === undefined ? 'ignore' : (fd as 3));
