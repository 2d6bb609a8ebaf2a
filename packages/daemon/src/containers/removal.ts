/**
 * The removal itself, in the container's turn. Phase `removing` is written first; every step succeeds when its work is done
 * already, so recovery repeats it. Separate from `remove.ts`, which ends a running container first.
 */
import { BoxshipError, failPoint } from '@boxship/base';
import type { Parts } from '../parts.ts';
import { removeContainerDirectory, removeRunFiles } from './files.ts';
import { type Container, eventAttributes } from './model.ts';
import { deleteTask } from './task.ts';
import { releaseVolumes } from './volume-mounts.ts';

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
  await parts.containerd.snapshots.remove({ snapshotter: record.snapshotter, key: id }).catch((error: unknown) => {
    if (!BoxshipError.is(error, 'notFound')) throw error;
  });
  removeRunFiles(parts.config, id);
  for (const exec of parts.execs.ofContainer(id)) parts.execs.remove(exec);
  removeContainerDirectory(parts.config, id, parts.log);
  parts.containers.remove(container);
  releaseVolumes(parts, container, options.removeVolumes === true);
}
