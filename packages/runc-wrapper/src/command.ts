/**
 * One execution of the runtime. Rules that keep it from hanging or leaking:
 * - a container inherits the runtime's stdio, so it is never given a pipe of ours to hold open: descriptors or /dev/null;
 * - errors come through `--log`, the end through the exit of the process, not of its streams;
 * - the environment is spelled out; only descriptors 0, 1, 2 and the named extra ones are open in it;
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
  /** Text for its standard input. */
  readonly input?: string;
  /** True when standard output is wanted: only for verbs that leave no process behind. */
  readonly isOutputWanted?: boolean;
  readonly defaultTimeoutMs: number;
  readonly workingDirectory?: string;
}

const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Runs it as a span of the current trace; gives standard output (empty unless wanted). */
export function invoke(call: Invocation): Promise<string> {
  return withSpan({ component: 'runtime', name: `${call.binary} ${call.verb}` }, () => execute(call));
}

async function execute(call: Invocation): Promise<string> {
  const log = `${call.logDirectory}/.${call.verb}-${randomBytes(6).toString('hex')}.json`;
  const args = [...call.globalArguments, '--log', log, '--log-format', 'json', call.verb, ...call.arguments];
  const timeoutMs = call.timeoutMs ?? call.defaultTimeoutMs;
  call.signal?.throwIfAborted();
  markInheritedCloseOnExec();
  const child = execa(call.binary, args, stdioOptions(call));
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
    if (result.exitCode === 0) return typeof result.stdout === 'string' ? result.stdout : '';
    if (pid === undefined) throw notStarted(call.binary, result.cause ?? result);
    throw runtimeError(call.verb, call.id, result.exitCode, lastError(log));
  } catch (error) {
    if (pid !== undefined && !hasEnded) killTree(pid);
    throw error;
  } finally {
    removeLog(log);
  }
}

function notStarted(binary: string, cause: unknown): BoxshipError {
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

function stdioOptions(call: Invocation): Options {
  return {
    stdin: call.input === undefined ? target(call.stdio?.stdin) : 'pipe',
    stdout: call.isOutputWanted === true ? 'pipe' : target(call.stdio?.stdout),
    stderr: target(call.stdio?.stderr),
    ...(call.input !== undefined && { input: call.input }),
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
