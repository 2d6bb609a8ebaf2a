/** What a predecessor had begun and not finished: each verb that runs the runtime is brought to one of its two ends. */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { messageOf, poll } from '@boxship/base';
import { freezerState, isProcessAlive, processStat, unmountAll } from '@boxship/linux';
import { killTree } from '@boxship/runc-wrapper';
import type { Container } from './container.ts';
import type { Group } from './group.ts';
import { type CheckpointRecord, removeRecord } from './record.ts';
import { forget } from './restore.ts';

/** CRIU gets as long as the runtime would have had. */
const CRIU_MS = 600_000;

/** The Create that made it was never answered: nothing of it may stay. */
export async function removeHalfMade(container: Container): Promise<void> {
  endRuntime(container);
  await container.runtime.delete(container.id, { isForced: true });
  unmountAll(container.rootfs);
  removeRecord(container.bundle);
  container.log.info('half-made container removed');
}

/** Whether the start did its work before the predecessor died is asked of the runtime. */
export async function settleStart(container: Container): Promise<void> {
  const { init, record } = container;
  // half a restore is none
  if (record.restoreFrom !== undefined && endRuntime(container)) return await forget(container);
  try {
    const { status, pid } = await container.runtime.state(container.id);
    init.record.phase = status === 'created' ? 'created' : 'running';
    if (record.restoreFrom !== undefined && pid !== undefined) {
      init.record.pid = pid;
      init.record.startTicks = processStat(pid)?.startTicks ?? 0;
    }
  } catch (error) {
    if (record.restoreFrom !== undefined) return await forget(container);
    container.log.warn('state after an interrupted start is unknown', { error: messageOf(error) });
    init.record.phase = 'running';
  }
  container.save();
}

/**
 * A checkpoint is let come to its end: CRIU, killed while it is inside the processes of the container, would leave them broken.
 * Verbs wait for it as they did before; who is adopted beside it does not.
 */
export function settleCheckpoint(group: Group, container: Container, checkpoint: CheckpointRecord): void {
  const { id, init } = container;
  const { runtimePid, isFrozenForIt } = checkpoint;
  const settled = group.turns.run(id, async () => {
    const startTicks = processStat(runtimePid)?.startTicks ?? 0;
    if (isRuntime(runtimePid, container))
      await poll({ everyMs: 50, timeoutMs: CRIU_MS }, () => !isProcessAlive(runtimePid, startTicks) || undefined);
    container.record.checkpoint = undefined;
    // asked only now: CRIU thaws and freezes
    const isFrozen = container.cgroups !== undefined && freezerState(container.cgroups) !== 'thawed';
    if (isFrozenForIt && isFrozen && init.pidfd !== undefined) {
      await container.runtime.resume(id);
      if (init.state === 'paused') init.state = 'running';
    }
    container.save();
  });
  settled.catch((error: unknown) =>
    container.log.warn('a container stopped for its checkpoint could not be let go on', { error: messageOf(error) }),
  );
}

/** Ends the runtime command under way; false when there is none. */
function endRuntime(container: Container): boolean {
  const { runtimePid } = container.init.record;
  if (!isRuntime(runtimePid, container)) return false;
  killTree(runtimePid);
  return true;
}

/** The pid may be another process' by now: the runtime is known by its command line. */
function isRuntime(pid: number, { id, record }: Container): boolean {
  if (pid === 0) return false;
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    // a runtime that is a script is its interpreter's argument
    const programs = words.slice(0, 2).map((word) => basename(word));
    return programs.includes(basename(record.runtime.binary)) && words.includes(id);
  } catch {
    return false; // ended
  }
}
