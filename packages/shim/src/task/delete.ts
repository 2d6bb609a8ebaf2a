/** Task Delete: of an exec, its entry; of the init, the container: `runc delete`, root file system unmounted. */
import { rmSync } from 'node:fs';
import { BoxshipError, failPoint, withDeadline } from '@boxship/base';
import { signalPidfd, unmountAll } from '@boxship/linux';
import type { Container } from './container.ts';
import type { Group } from './group.ts';
import type { ManagedProcess } from './process.ts';
import { type ExitRecord, exitPath, removeRecord } from './record.ts';
import { checkAllowed } from './state.ts';

const SIGKILL = 9;
const END_MS = 10_000;
/** Go's zero time: what containerd's shim answers for a process that never ran. */
const neverExited: ExitRecord = { pid: 0, startTicks: 0, exitStatus: 0, exitedAt: '-62135596800000000000', oom: false };

/** Gives the end of the process. @throws unknown while it runs, notFound */
export async function deleteProcess(group: Group, id: string, execId: string): Promise<ExitRecord> {
  const container = group.container(id);
  const process = container.process(execId);
  return await group.turns.run(execId === '' ? id : `${id}/${execId}`, async () => {
    // a second Delete that waited for its turn finds nothing
    if (group.container(id).process(execId) !== process) throw new BoxshipError('notFound', 'container not created');
    checkAllowed('delete', process.state);
    return execId === '' ? await deleteInit(group, container) : await deleteExec(group, container, process);
  });
}

async function deleteExec(group: Group, container: Container, exec: ManagedProcess): Promise<ExitRecord> {
  let exit = neverExited;
  if (exec.pid > 0) {
    exit = await exec.exited;
    await exec.stdio?.settled();
    exec.stdio?.close();
  } else exec.settleExit(neverExited);
  exec.state = 'deleted';
  group.keeper?.changed();
  container.execs.delete(exec.execId);
  container.save();
  for (const path of [exitPath(container.bundle, exec.execId), `${container.bundle}/exec-${exec.execId}.process.json`])
    rmSync(path, { force: true });
  return exit;
}

async function deleteInit(group: Group, container: Container): Promise<ExitRecord> {
  const { init } = container;
  if (init.pid === 0) init.settleExit(neverExited); // was to be restored, and is not wanted any more
  // created and never started: its init waits for a start that will not come
  if (init.state === 'created' && init.pidfd !== undefined) signalPidfd(init.pidfd, SIGKILL);
  const exit = await withDeadline(
    { component: 'shim', operation: 'end of the init before delete', id: container.id, timeoutMs: END_MS },
    () => init.exited,
  );
  await init.stdio?.settled();
  try {
    await container.runtime.delete(container.id);
  } catch (error) {
    // gone already (a delete that was interrupted), or a cgroup that was still busy: the forced form does both
    container.log.debug('delete is repeated by force', { error });
    await container.runtime.delete(container.id, { isForced: true });
  }
  await failPoint('rm.task-deleted');
  for (const process of container.processes) process.stdio?.close();
  unmountAll(container.rootfs);
  init.state = 'deleted';
  group.containers.delete(container.id);
  group.keeper?.changed();
  removeRecord(container.bundle);
  group.events.deleted(container, exit);
  return exit;
}
