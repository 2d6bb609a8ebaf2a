/** Ends every container of the group: SIGTERM and time to act on it, then SIGKILL. */
import { BoxshipError, messageOf, sleep, withDeadline } from '@boxship/base';
import type { Container } from '../task/container.ts';
import { resumeTask } from '../task/control.ts';
import type { Group } from '../task/group.ts';
import { killProcess } from '../task/kill.ts';

const SIGTERM = 15;
const SIGKILL = 9;
const END_MS = 10_000;

/** @throws deadlineExceeded when one does not end even by SIGKILL */
export async function stopContainers(group: Group, graceMs: number): Promise<void> {
  const living = [...group.containers.values()].filter(({ init }) => init.exit === undefined);
  await Promise.all(living.map((container) => stopContainer(group, container, graceMs)));
}

async function stopContainer(group: Group, container: Container, graceMs: number): Promise<void> {
  const { init, id } = container;
  if (graceMs > 0) {
    await signal(group, container, SIGTERM);
    const over = new AbortController();
    await Promise.race([init.exited, sleep(graceMs, over.signal)]);
    over.abort();
  }
  if (init.exit === undefined) await signal(group, container, SIGKILL);
  const limit = { component: 'shim', operation: 'end of a container of the sandbox', id, timeoutMs: END_MS };
  await withDeadline(limit, () => init.exited);
}

async function signal(group: Group, container: Container, number: number): Promise<void> {
  const { id, init } = container;
  try {
    await killProcess(group, { id, execId: '', signal: number, all: false });
    // a frozen process gets no signal before it is thawed
    if (init.state === 'paused') await resumeTask(group, id);
  } catch (error) {
    if (init.exit === undefined && !BoxshipError.is(error, 'notFound')) throw error;
    container.log.debug('ended before it was signalled', { error: messageOf(error) });
  }
}
