/**
 * One execution of the runtime. Rules that keep it from hanging or leaking:
 * - a container inherits the runtime's stdio, so it is never given a pipe of ours to hold open: descriptors or /dev/null;
 * - errors come through `--log`, the end through the exit of the process, not of its streams;
 * - the environment is spelled out; only descriptors 0, 1, 2 and the named extra ones are open in it (everything else of ours
 *   is close-on-exec);
 * - at the deadline the whole tree is killed.
 */
import { randomBytes } from 'node:crypto';
import { withDeadline, withSpan } from '@boxship/base';
import { markInheritedCloseOnExec } from '@boxship/linux';
import { runtimeError } from './errors.ts';
import type { Invocation } from './invocation.ts';
import { killTree } from './process-tree.ts';
import { lastError, removeLog } from './runtime-log.ts';
import { type Ended, startCommand } from './start-command.ts';

/** The longest that a timer takes. */
const FOR_EVER_MS = 2 ** 31 - 1;

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

async function execute<T>(
  call: Invocation,
  conclude: (end: Ended & { exitCode: number }, said: string | undefined) => T,
): Promise<T> {
  const log = logPath(call);
  const timeoutMs = call.timeoutMs ?? call.defaultTimeoutMs ?? FOR_EVER_MS;
  call.signal?.throwIfAborted();
  markInheritedCloseOnExec();
  const { pid, ended } = startCommand(call, commandLine(call, log));
  let hasEnded = false;
  if (pid !== undefined) call.onSpawn?.(pid);
  try {
    const { exitCode, ...end } = await withDeadline(
      {
        component: call.binary,
        operation: call.verb,
        timeoutMs,
        ...(call.id !== undefined && { id: call.id }),
        ...(call.signal && { signal: call.signal }),
      },
      () => ended,
    );
    hasEnded = true;
    if (exitCode === undefined)
      throw runtimeError(call.verb, call.id, undefined, `${call.binary} was ended by ${end.signal ?? 'a signal'}`);
    return conclude({ exitCode, ...end }, lastError(log) ?? (end.errorOutput || undefined));
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
