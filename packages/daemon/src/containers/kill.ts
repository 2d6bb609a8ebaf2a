/** Signals to a container's init, and the kill that always ends it. */
import { BoxshipError, withDeadline } from '@boxship/base';
import { isProcessAlive } from '@boxship/linux';
import type { Parts } from '../parts.ts';
import { type Container, eventAttributes, notRunning } from './model.ts';
import { reconcileContainer } from './reconcile.ts';

const SIGKILL = 9;
const SIGCONT = 18;
const killTimeoutMs = 10_000;

/** @throws conflict `container … is not running` */
export async function signalContainer(parts: Parts, container: Container, signal: number): Promise<void> {
  const { record } = container;
  if (!record.state.Running || record.state.Restarting) throw notRunning(container);
  // a frozen process takes no signal but the kill of cgroup version 2
  if (record.state.Paused && signal !== SIGCONT) {
    await parts.containerd.tasks.resume({ containerId: container.id });
    record.state = { ...record.state, Paused: false, Status: 'running' };
    parts.containers.save(container);
    parts.events.publish('container', 'unpause', container.id, eventAttributes(record));
  }
  try {
    await parts.containerd.tasks.kill({ containerId: container.id, signal, all: false }, { timeoutMs: killTimeoutMs });
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) {
      // ended already: the event is on its way, or was missed while containerd was away
      await reconcileContainer(parts, container);
      throw notRunning(container);
    }
    if (signal !== SIGKILL || !BoxshipError.is(error, 'deadlineExceeded')) throw error;
    killDirectly(container); // the shim hangs; the process can be killed without it
  }
  parts.events.publish('container', 'kill', container.id, { ...eventAttributes(record), signal: String(signal) });
}

/** Without the shim: by the pid, if it still is the same process. */
function killDirectly(container: Container): void {
  const { state, pidStartTicks } = container.record;
  if (!isProcessAlive(state.Pid, pidStartTicks)) return;
  try {
    process.kill(state.Pid, SIGKILL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // already gone
  }
}

/** Resolves when the container has ended. @throws deadlineExceeded */
export async function waitForExit(container: Container, timeoutMs: number): Promise<void> {
  if (!container.record.state.Running) return;
  await withDeadline({ component: 'daemon', operation: 'exit', id: container.id, timeoutMs }, (signal) =>
    container.waiters.wait('exit', signal),
  );
}

/** SIGKILL until it is over. */
export async function killAndWait(parts: Parts, container: Container): Promise<void> {
  if (!container.record.state.Running) return;
  const exit = waitForExit(container, killTimeoutMs);
  exit.catch(() => {}); // awaited below
  try {
    await signalContainer(parts, container, SIGKILL);
  } catch (error) {
    if (!BoxshipError.is(error, 'conflict')) throw error;
    // ended meanwhile, or containerd has lost sight of it
    if (container.record.state.Running) killDirectly(container);
  }
  try {
    await exit;
  } catch (error) {
    if (!BoxshipError.is(error, 'deadlineExceeded')) throw error;
    killDirectly(container);
    await reconcileContainer(parts, container);
    if (container.record.state.Running && isProcessAlive(container.record.state.Pid, container.record.pidStartTicks))
      throw error;
  }
}
