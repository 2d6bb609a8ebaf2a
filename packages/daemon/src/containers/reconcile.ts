/** Makes what we believe of a container equal to what containerd and the kernel say. Used after any gap in the events. */
import { isZeroTime, taskTypes, toRfc3339 } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import {
  closePidfd,
  exitCodeOf,
  exitStatusOfPidfd,
  isProcessAlive,
  onPidfdExit,
  openPidfd,
  sharedPoller,
} from '@boxship/linux';
import { nowRfc3339 } from '../clock.ts';
import type { Parts } from '../parts.ts';
import { handleExit } from './exit.ts';
import type { Container } from './model.ts';

const { Status } = taskTypes;
/** Docker's code for an exit whose real code nobody knows any more. */
const unknownExitCode = 255;
const timeoutMs = 10_000;

/** Asks containerd for the container's task and takes its word. */
export async function reconcileContainer(parts: Parts, container: Container): Promise<void> {
  const { record } = container;
  if (!record.state.Running || record.state.Restarting) return;
  let process: taskTypes.Process | undefined;
  try {
    process = (await parts.containerd.tasks.get({ containerId: container.id }, { timeoutMs })).process;
  } catch (error) {
    if (!BoxshipError.is(error, 'notFound')) throw error;
  }
  await applyTask(parts, container, process);
}

export async function applyTask(
  parts: Parts,
  container: Container,
  process: taskTypes.Process | undefined,
): Promise<void> {
  const { record } = container;
  if (process === undefined) {
    // containerd does not know it (yet, or any more): while the process lives the container runs
    if (watchOrphan(parts, container)) return;
    container.hasTaskExited = true;
    const error = 'the exit status was lost: containerd has no task of it any more';
    await handleExit(parts, container, { exitCode: unknownExitCode, finishedAt: nowRfc3339(), error });
    return;
  }
  if (process.status === Status.STOPPED) {
    container.hasTaskExited = true;
    const finishedAt = isZeroTime(process.exitedAt) ? nowRfc3339() : toRfc3339(process.exitedAt);
    await handleExit(parts, container, { exitCode: process.exitStatus, finishedAt, pid: process.pid });
    return;
  }
  const isPaused = process.status === Status.PAUSED || process.status === Status.PAUSING;
  if (record.state.Pid === process.pid && record.state.Paused === isPaused) return;
  record.state = { ...record.state, Pid: process.pid, Paused: isPaused, Status: isPaused ? 'paused' : 'running' };
  parts.containers.save(container);
}

/** Waits for the end of a process that only the kernel knows. False when it has ended already. */
function watchOrphan(parts: Parts, container: Container): boolean {
  const { Pid: pid } = container.record.state;
  if (!isProcessAlive(pid, container.record.pidStartTicks)) return false;
  if (watched.has(container.id)) return true;
  let pidfd: number;
  try {
    pidfd = openPidfd(pid);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return false; // ended in between
    throw error;
  }
  watched.add(container.id);
  parts.log.warn('container runs but containerd has no task of it: its process is watched', {
    container: container.id,
    pid,
  });
  const poller = sharedPoller();
  onPidfdExit(poller, pidfd, () => {
    const status = exitStatusOfPidfd(pidfd, pid);
    closePidfd(poller, pidfd);
    watched.delete(container.id);
    container.hasTaskExited = true;
    const end = {
      exitCode: status === undefined ? unknownExitCode : exitCodeOf(status),
      finishedAt: nowRfc3339(),
      pid,
      ...(status === undefined ? { error: 'the exit status was lost: the kernel cannot tell it any more' } : {}),
    };
    handleExit(parts, container, end).catch((error: unknown) =>
      parts.log.error('end of container could not be handled', { container: container.id, error }),
    );
  });
  return true;
}

/** Containers whose process is watched, by id. */
const watched = new Set<string>();
