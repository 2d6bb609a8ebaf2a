/**
 * Start as recovery: takes over the containers of the group that a predecessor left. Live processes are watched by pidfd
 * (they are nobody's children here; the kernel gives the exit code through the handle), ended ones are reported from their
 * exit files, half-made ones are removed.
 */
import { closeSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, messageOf } from '@boxship/base';
import { bootId, freezerState, oomKillCount, openPidfd, processStat, watchOom } from '@boxship/linux';
import { ProcessStdio } from '../io/process-stdio.ts';
import { heldName } from '../keeper/holdings.ts';
import { KeptDescriptors } from '../keeper/kept.ts';
import { Container } from './container.ts';
import { finishExit, reportExit, reportOom, watch } from './exit.ts';
import type { Group } from './group.ts';
import { ManagedProcess } from './process.ts';
import { type ContainerRecord, findRecords, readExit } from './record.ts';
import { removeHalfMade, settleCheckpoint, settleStart } from './settle.ts';

/** Adopts what is found beside each other in `directory`; one container that cannot be adopted does not stop the others. */
export async function adoptContainers(group: Group, directory: string): Promise<void> {
  const { groupId, keeperDirectory, log } = group.options;
  using kept = keeperDirectory === undefined ? undefined : new KeptDescriptors(keeperDirectory);
  for (const record of findRecords(directory, groupId)) {
    try {
      await adopt(group, record, kept);
    } catch (error) {
      log.error('container could not be adopted', { container: record.id, error: messageOf(error) });
    }
  }
  group.keeper?.update(); // before the predecessor's is ended
}

async function adopt(group: Group, record: ContainerRecord, kept: KeptDescriptors | undefined): Promise<void> {
  if (record.bootId !== bootId()) return; // the machine was restarted: containerd removes the bundle
  const container = new Container(record, group.options.log);
  const { init } = container;
  if (init.record.phase === 'creating') {
    await removeHalfMade(container);
    return;
  }
  for (const execRecord of record.processes.slice(1))
    container.execs.set(execRecord.execId, new ManagedProcess(execRecord));
  if (init.record.phase === 'starting') await settleStart(container);
  group.containers.set(container.id, container);
  container.log.info('container adopted', { pid: init.pid, phase: init.record.phase, execs: container.execs.size });
  // what is to be restored has no process yet, and is `created` as it is
  if (init.pid > 0) await adoptProcess(group, container, init, kept);
  for (const exec of container.execs.values()) await adoptExec(group, container, exec, kept);
  watchMemory(group, container);
  if (record.checkpoint !== undefined) settleCheckpoint(group, container, record.checkpoint);
}

async function adoptProcess(
  group: Group,
  container: Container,
  process: ManagedProcess,
  kept: KeptDescriptors | undefined,
): Promise<void> {
  await adoptStdio(group, container, process, kept);
  process.restoreState(process.record.phase === 'created' ? 'created' : 'running');
  const exit = readExit(container.bundle, process.execId);
  const isRecorded = exit !== undefined && exit.pid === process.pid && exit.isLost !== true;
  // through a kept handle the kernel tells the status of a process that has ended and was reaped by others
  const pidfd = isRecorded
    ? undefined
    : (kept?.take(heldName(container.id, process.execId, 'pidfd')) ?? liveHandle(process));
  if (pidfd !== undefined) {
    const { cgroups } = container;
    if (process === container.init && cgroups !== undefined && freezerState(cgroups) !== 'thawed')
      process.restoreState('paused');
    watch(group, container, process, pidfd);
    return;
  }
  if (isRecorded && exit.oom && process === container.init) {
    container.reportedOomKills = 1;
    group.events.oom(container);
  }
  // reported without waiting: draining takes its time, and the others are to be adopted
  const report = isRecorded
    ? reportExit(group, container, process, exit)
    : finishExit(group, container, process, 'lost');
  report.catch((error: unknown) => container.log.error('exit could not be reported', { error: messageOf(error) }));
}

/** A handle, if the pid is still that process (also as a zombie, whose status can be read). */
function liveHandle(process: ManagedProcess): number | undefined {
  const { pid, startTicks } = process.record;
  let pidfd: number;
  try {
    pidfd = openPidfd(pid);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
  if (processStat(pid)?.startTicks === startTicks) return pidfd;
  closeSync(pidfd);
  return undefined;
}

async function adoptStdio(
  group: Group,
  container: Container,
  process: ManagedProcess,
  kept: KeptDescriptors | undefined,
): Promise<void> {
  const { namespace, socketDirectory } = group.options;
  const { record } = process;
  try {
    const context = container.stdioContext(record, namespace, socketDirectory);
    const takeMaster = () => kept?.take(heldName(container.id, process.execId, 'master'));
    process.stdio = await ProcessStdio.adopt(record.stdio, context, takeMaster);
  } catch (error) {
    // the process lives on without it; for a terminal the kernel has hung up
    container.log.error('input and output of a process were lost with the predecessor', {
      exec: process.execId,
      error: messageOf(error),
    });
  }
}

async function adoptExec(
  group: Group,
  container: Container,
  exec: ManagedProcess,
  kept: KeptDescriptors | undefined,
): Promise<void> {
  const { record } = exec;
  if (record.phase === 'starting') {
    // its Start was never answered; the runtime writes the pid when the process exists
    record.pid = pidFrom(join(container.bundle, `exec-${exec.execId}.pid`));
    record.startTicks = processStat(record.pid)?.startTicks ?? 0;
    record.phase = record.pid > 0 ? 'running' : 'creating';
    container.save();
  }
  if (record.phase !== 'creating') await adoptProcess(group, container, exec, kept);
}

function pidFrom(path: string): number {
  try {
    return Number(readFileSync(path, 'latin1').trim()) || 0;
  } catch {
    return 0; // not written: the exec had not come so far
  }
}

function watchMemory(group: Group, container: Container): void {
  const { cgroups, init } = container;
  if (cgroups === undefined || init.pidfd === undefined) return;
  container.reportedOomKills = oomKillCount(cgroups);
  try {
    container.oomWatch = watchOom(cgroups, () => reportOom(group, container));
  } catch (error) {
    container.log.debug('no notice of memory kills', { error });
  }
}
