/**
 * The start of the daemon is its recovery: half-made containers are rolled back, half-removed ones removed, starts that were
 * cut off are adopted or undone, and what containerd and the network hold for containers that nobody knows is given back.
 */
import { taskTypes } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { processStat } from '@boxship/linux';
import { nowRfc3339 } from '../clock.ts';
import type { Parts } from '../parts.ts';
import { rollBackCreate } from './create.ts';
import { containerFiles, removeRunFiles, sweepContainerDirectories } from './files.ts';
import { startHealthMonitor } from './health.ts';
import type { Container } from './model.ts';
import { openProcessInput } from './process-input.ts';
import { applyTask } from './reconcile.ts';
import { removeInTurn } from './removal.ts';
import { shouldStartWithDaemon } from './restart-policy.ts';
import { snapshotLabel } from './rootfs.ts';
import { startContainer } from './start.ts';
import { containerLabel, deleteTask } from './task.ts';

type Process = taskTypes.Process;
const { Status } = taskTypes;

/** Before the API serves. */
export async function restoreContainers(parts: Parts): Promise<void> {
  const { tasks } = await parts.containerd.tasks.list();
  const byId = new Map(tasks.map((task) => [task.id, task]));
  await Promise.all(
    parts.containers
      .list()
      .map((container) =>
        restoreOne(parts, container, byId.get(container.id)).catch((error: unknown) =>
          parts.log.error('container could not be restored', { container: container.id, error }),
        ),
      ),
  );
  sweepContainerDirectories(parts.config, (id) => parts.containers.byId(id) !== undefined, parts.log);
  await removeOrphans(parts).catch((error: unknown) => parts.log.error('orphans were not removed', { error }));
}

async function restoreOne(parts: Parts, container: Container, task: Process | undefined): Promise<void> {
  const { record } = container;
  if (record.phase === 'creating') return await rollBackCreate(parts, container);
  if (record.phase === 'removing') {
    record.isStarting = true; // take task and sandbox away whatever the state says
    return await removeInTurn(parts, container, { removeVolumes: record.hostConfig.AutoRemove });
  }
  if (record.isStarting) return await finishStart(parts, container, task);
  if (record.state.Restarting) record.state = { ...record.state, Status: 'exited', Running: false, Restarting: false };
  if (!record.state.Running) {
    if (task !== undefined) await deleteTask(parts, container);
    removeRunFiles(parts.config, container.id);
    if (record.hostConfig.AutoRemove && record.hasBeenStarted)
      await removeInTurn(parts, container, { removeVolumes: true });
    return;
  }
  await applyTask(parts, container, task);
  if (record.state.Running && !record.state.Restarting) adopt(parts, container);
}

/** Takes a running container over: its stdin, its health. stdio and logs never were ours. */
function adopt(parts: Parts, container: Container): void {
  if (container.record.config.OpenStdin)
    container.stdin = openProcessInput(containerFiles(parts.config, container.id).stdin);
  startHealthMonitor(parts, container);
}

/** A start that was cut off: what runs is taken as started, everything else is undone. */
async function finishStart(parts: Parts, container: Container, task: Process | undefined): Promise<void> {
  const { record } = container;
  record.isStarting = false;
  if (task !== undefined && (task.status === Status.RUNNING || task.status === Status.PAUSED)) {
    record.sandbox = await sandboxOf(parts, container.id);
    record.hasBeenStarted = true;
    record.pidStartTicks = processStat(task.pid)?.startTicks ?? 0;
    record.state = {
      ...record.state,
      Status: 'running',
      Running: true,
      Restarting: false,
      Pid: task.pid,
      StartedAt: nowRfc3339(),
    };
    parts.containers.save(container);
    return adopt(parts, container);
  }
  await deleteTask(parts, container);
  await parts.network?.removeSandbox(container.id);
  removeRunFiles(parts.config, container.id);
  record.sandbox = undefined;
  record.state = {
    ...record.state,
    Status: record.hasBeenStarted ? 'exited' : 'created',
    Running: false,
    Restarting: false,
    Pid: 0,
  };
  parts.containers.save(container);
  // as after any start that failed
  if (record.hostConfig.AutoRemove) await removeInTurn(parts, container, { removeVolumes: true });
}

async function sandboxOf(parts: Parts, id: string) {
  if (parts.network === undefined) return undefined;
  try {
    const { namespacePath, endpoints, ports } = await parts.network.sandbox(id);
    return { id, namespacePath, endpoints, ports };
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
}

async function removeOrphans(parts: Parts): Promise<void> {
  const isKnown = (id: string) => parts.containers.byId(id) !== undefined;
  const { containers } = await parts.containerd.containers.list({
    filters: [`labels."${containerLabel}"=="${parts.config.dataRoot}"`],
  });
  for (const { id } of containers) if (!isKnown(id)) await deleteTask(parts, { id });
  const { snapshotter } = parts.config;
  for await (const { info } of parts.containerd.snapshots.list({ snapshotter, filters: [`labels."${snapshotLabel}"`] }))
    for (const { name } of info)
      if (!isKnown(name)) {
        parts.log.info('orphaned snapshot removed', { snapshot: name });
        await parts.containerd.snapshots.remove({ snapshotter, key: name });
      }
  // those in namespaces of other programs are not ours to judge
  for (const { id, spec } of (await parts.network?.listSandboxes()) ?? [])
    if (spec.joinNamespace === undefined && parts.containers.byId(id)?.record.sandbox === undefined)
      await parts.network?.removeSandbox(id);
}

/** After the API serves: containers that start with the daemon. */
export async function startWithDaemon(parts: Parts): Promise<void> {
  const due = parts.containers.list().filter(({ record }) => !record.state.Running && shouldStartWithDaemon(record));
  await Promise.all(
    due.map(async (container) => {
      try {
        await startContainer(parts, container);
      } catch (error) {
        if (!BoxshipError.is(error, 'notModified'))
          parts.log.error('container did not start with the daemon', { container: container.id, error });
      }
    }),
  );
}
