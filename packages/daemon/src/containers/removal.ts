/**
 * The removal itself, in the container's turn. Phase `removing` is written first; every step succeeds when its work is done
 * already, so recovery repeats it. Separate from `remove.ts`, which ends a running container first.
 *
 * A `--rm` container that has ended is removed the other way round ({@link removeEnded}): its processes, addresses and ports
 * are gone already, so it leaves the records first and whoever waits for its removal is told. What the host still holds of it
 * (the runtime's state, cgroup, mounts, snapshot) is cleared next, in the same turn. A daemon that dies in between finds
 * these at its next start as orphans: containerd's labels say whose they are.
 */
import { BoxshipError, failPoint, retry } from '@boxship/base';
import type { Parts } from '../parts.ts';
import { removeContainerDirectory, removeRunFiles } from './files.ts';
import { type Container, eventAttributes } from './model.ts';
import { deleteTask } from './task.ts';
import { releaseVolumes } from './volume-mounts.ts';

/** containerd may just be away: trying again costs nothing, and there is nobody who could be told. */
const patience = { attempts: Number.POSITIVE_INFINITY, firstDelayMs: 500, maxDelayMs: 60_000 };

export interface RemovalOptions {
  readonly removeVolumes?: boolean;
}

export async function removeInTurn(parts: Parts, container: Container, options: RemovalOptions): Promise<void> {
  const { record, id } = container;
  const exitCode = record.state.ExitCode;
  record.phase = 'removing';
  record.state = { ...record.state, Status: 'removing', Running: false, Restarting: false, Pid: 0 };
  parts.containers.save(container);
  try {
    await failPoint('remove.recorded');
    await tearDown(parts, container, options);
  } catch (error) {
    record.state = { ...record.state, Status: 'dead', Dead: true, Error: (error as Error).message };
    record.phase = 'ready';
    parts.containers.save(container);
    container.waiters.removed({ exitCode, error: (error as Error).message });
    throw error;
  }
  container.waiters.removed({ exitCode });
  parts.events.publish('container', 'destroy', id, eventAttributes(record));
}

/** Removes a `--rm` container whose end was handled. Ends when nothing of it is left, or when the daemon stops. */
export async function removeEnded(parts: Parts, container: Container): Promise<void> {
  const { record, id } = container;
  try {
    forget(parts, container, { removeVolumes: true });
  } catch (error) {
    parts.log.error('volume of a removed container is left', { container: id, error });
  }
  container.waiters.removed({ exitCode: record.state.ExitCode });
  parts.events.publish('container', 'destroy', id, eventAttributes(record));
  await failPoint('remove.forgotten');
  const isRetryable = (error: unknown) => {
    parts.log.warn('a removed container has left something, it is cleared again', { container: id, error });
    return true;
  };
  await retry({ ...patience, signal: parts.stopping, isRetryable }, async () => {
    await deleteTask(parts, container);
    await clear(parts, container);
  }).catch((error: unknown) => parts.log.warn('left for the next start', { container: id, error }));
}

async function tearDown(parts: Parts, container: Container, options: RemovalOptions): Promise<void> {
  const { record, id } = container;
  container.healthMonitor?.abort();
  container.stdin?.close();
  for (const attachment of container.attachments) attachment.abandon();
  // a container that never ran, or whose exit was handled, has neither task nor sandbox
  if (record.isStarting || record.sandbox !== undefined) {
    await deleteTask(parts, container);
    await parts.network?.removeSandbox(id);
  }
  await clear(parts, container);
  forget(parts, container, options);
}

/** Files and the root file system's writable layer. */
async function clear(parts: Parts, { id, record }: Container): Promise<void> {
  await parts.containerd.snapshots.remove({ snapshotter: record.snapshotter, key: id }).catch((error: unknown) => {
    if (!BoxshipError.is(error, 'notFound')) throw error;
  });
  removeRunFiles(parts.config, id);
  removeContainerDirectory(parts.config, id, parts.log);
}

function forget(parts: Parts, container: Container, options: RemovalOptions): void {
  for (const exec of parts.execs.ofContainer(container.id)) parts.execs.remove(exec);
  parts.containers.remove(container);
  releaseVolumes(parts, container, options.removeVolumes === true);
}
