/** Stop, restart, kill, pause: verbs that change a running container from outside. */
import { BoxshipError } from '@boxship/base';
import type { Parts } from '../parts.ts';
import { killAndWait, signalContainer, waitForExit } from './kill.ts';
import { type Container, eventAttributes, notRunning } from './model.ts';
import { parseSignal } from './signals.ts';
import { startContainer } from './start.ts';

const SIGTERM = 15;
const SIGKILL = 9;
const defaultTimeoutSeconds = 10;
/** After a signal that could not be sent, waiting the whole time would be for nothing. */
const failedSignalTimeoutSeconds = 2;

export interface StopOptions {
  /** Negative: never kills. */
  readonly timeoutSeconds: number | undefined;
  readonly signal: string | undefined;
}

/** @throws notModified when not running */
export async function stopContainer(parts: Parts, container: Container, options: StopOptions): Promise<void> {
  const { record } = container;
  if (record.state.Restarting) {
    // between two runs: nothing to signal, the pending start is what has to be stopped
    record.isManuallyStopped = true;
    endPendingRestart(parts, container);
    parts.events.publish('container', 'stop', container.id, eventAttributes(record));
    return;
  }
  if (!record.state.Running) throw new BoxshipError('notModified', `container ${container.id} is not running`);
  const signal =
    options.signal !== undefined && options.signal !== ''
      ? parseSignal(options.signal)
      : record.config.StopSignal === undefined
        ? SIGTERM
        : parseSignal(record.config.StopSignal);
  let timeout = options.timeoutSeconds ?? record.config.StopTimeout ?? defaultTimeoutSeconds;
  record.isManuallyStopped = true;
  parts.containers.save(container);
  const exit = timeout < 0 ? container.waiters.wait('exit').then(() => {}) : undefined;
  try {
    await signalContainer(parts, container, signal);
  } catch (error) {
    if (!BoxshipError.is(error, 'conflict')) timeout = Math.min(timeout, failedSignalTimeoutSeconds);
  }
  try {
    if (exit !== undefined) await exit;
    else await waitForExit(container, timeout * 1000);
  } catch (error) {
    if (!BoxshipError.is(error, 'deadlineExceeded')) throw error;
    await killAndWait(parts, container);
  }
  parts.events.publish('container', 'stop', container.id, eventAttributes(record));
}

function endPendingRestart(parts: Parts, container: Container): void {
  container.pendingRestart?.abort();
  container.pendingRestart = undefined;
  const { record } = container;
  record.state = { ...record.state, Status: 'exited', Running: false, Restarting: false, Pid: 0 };
  parts.containers.save(container);
}

export async function restartContainer(parts: Parts, container: Container, options: StopOptions): Promise<void> {
  const { AutoRemove } = container.record.hostConfig;
  container.record.hostConfig.AutoRemove = false; // the stop in between must not remove it
  try {
    await stopContainer(parts, container, options);
  } catch (error) {
    if (!BoxshipError.is(error, 'notModified')) throw error;
  } finally {
    container.record.hostConfig.AutoRemove = AutoRemove;
  }
  await startContainer(parts, container);
  parts.events.publish('container', 'restart', container.id, eventAttributes(container.record));
}

/** @throws conflict when not running; invalidArgument for an unknown signal */
export async function killContainer(
  parts: Parts,
  container: Container,
  shown: string,
  signalText: string,
): Promise<void> {
  const signal = parseSignal(signalText === '' ? 'KILL' : signalText);
  const { record } = container;
  if (record.state.Restarting) {
    record.isManuallyStopped = true;
    endPendingRestart(parts, container);
    return;
  }
  const stopSignal = record.config.StopSignal === undefined ? SIGTERM : parseSignal(record.config.StopSignal);
  if (signal === SIGKILL || signal === stopSignal) {
    record.isManuallyStopped = true;
    if (record.state.Running) parts.containers.save(container);
  }
  try {
    if (signal === SIGKILL && record.state.Running) return await killAndWait(parts, container);
    await signalContainer(parts, container, signal);
  } catch (error) {
    if (!BoxshipError.is(error)) throw error;
    throw new BoxshipError(error.kind, `cannot kill container: ${shown}: ${error.message}`, { cause: error });
  }
}

/** @throws conflict */
export async function pauseContainer(parts: Parts, container: Container): Promise<void> {
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  if (!record.state.Running) throw notRunning(container);
  if (record.state.Paused) throw new BoxshipError('conflict', `Container ${container.id} is already paused`);
  if (record.state.Restarting)
    throw new BoxshipError('conflict', `Container ${container.id} is restarting, wait until the container is running`);
  await parts.containerd.tasks.pause({ containerId: container.id });
  record.state = { ...record.state, Paused: true, Status: 'paused' };
  parts.containers.save(container);
  parts.events.publish('container', 'pause', container.id, eventAttributes(record));
}

/** @throws conflict */
export async function unpauseContainer(parts: Parts, container: Container): Promise<void> {
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  if (!record.state.Paused) throw new BoxshipError('conflict', `Container ${container.id} is not paused`);
  await parts.containerd.tasks.resume({ containerId: container.id });
  record.state = { ...record.state, Paused: false, Status: 'running' };
  parts.containers.save(container);
  parts.events.publish('container', 'unpause', container.id, eventAttributes(record));
}
