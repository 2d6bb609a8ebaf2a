/** The verb `events`, which goes on until it is told to stop: one JSON object a line. */
import { createInterface } from 'node:readline';
import { markInheritedCloseOnExec } from '@boxship/linux';
import { execa } from 'execa';
import { commandLine, logPath } from './command.ts';
import { runtimeError } from './errors.ts';
import type { Invocation } from './invocation.ts';
import { killTree } from './process-tree.ts';
import { lastError, removeLog } from './runtime-log.ts';
import { notStarted, outputOptions } from './start-command.ts';
import type { RuntimeEvent } from './verbs.ts';

/** Ends when the container does, when the caller stops reading, or with the reason of the aborted signal. */
export async function* streamEvents(call: Invocation): AsyncGenerator<RuntimeEvent, void, undefined> {
  call.signal?.throwIfAborted();
  const log = logPath(call);
  markInheritedCloseOnExec();
  const child = execa(call.binary, commandLine(call, log), { ...outputOptions(call), buffer: false });
  const { pid, stdout } = child;
  let hasEnded = false;
  const end = () => {
    if (pid !== undefined && !hasEnded) killTree(pid);
  };
  call.signal?.addEventListener('abort', end, { once: true });
  try {
    if (stdout !== null)
      for await (const line of createInterface({ input: stdout }))
        if (line !== '') yield JSON.parse(line) as RuntimeEvent;
    const result = await child;
    hasEnded = true;
    call.signal?.throwIfAborted();
    if (pid === undefined) throw notStarted(call.binary, result.cause ?? result);
    if (result.exitCode !== 0) throw runtimeError(call.verb, call.id, result.exitCode, lastError(log));
  } catch (error) {
    call.signal?.throwIfAborted();
    throw error;
  } finally {
    call.signal?.removeEventListener('abort', end);
    end();
    removeLog(log);
  }
}
