/** Task Kill: a signal through the process' handle, so that a reused pid never gets it; no runtime is run for it. */
import { BoxshipError, poll, withDeadline } from '@boxship/base';
import { cgroupPids, signalPidfd } from '@boxship/linux';
import type { Container } from './container.ts';
import type { Group } from './group.ts';
import { checkAllowed } from './state.ts';

const SIGKILL = 9;
const MAX_SIGNAL = 64;
const KILL_ALL_MS = 5000;

export interface KillRequest {
  readonly id: string;
  readonly execId: string;
  readonly signal: number;
  readonly all: boolean;
}

/** @throws notFound when the process has finished */
export async function killProcess(group: Group, request: KillRequest): Promise<void> {
  const container = group.container(request.id);
  const process = container.process(request.execId);
  if (request.signal > MAX_SIGNAL) throw new BoxshipError('invalidArgument', `signal ${request.signal} does not exist`);
  if (request.all && request.execId === '') {
    await killAll(container, request.signal);
    return;
  }
  if (request.execId !== '' && process.pid === 0)
    throw new BoxshipError('notFound', 'process not created', { details: { exec: request.execId } });
  checkAllowed('kill', process.state);
  if (process.pidfd === undefined || !signalPidfd(process.pidfd, request.signal))
    throw new BoxshipError('notFound', 'process already finished');
}

/** Every process of the container. SIGKILL is repeated until none is left: they may be forking. */
async function killAll(container: Container, signal: number): Promise<void> {
  const { cgroups, init } = container;
  if (cgroups === undefined) throw new BoxshipError('notFound', 'process already finished');
  const round = () => {
    const pids = cgroupPids(cgroups);
    for (const pid of pids) sendSignal(pid, signal);
    return pids.length;
  };
  const reached = round();
  if (reached === 0 && init.exit !== undefined) return; // as runc: killing all of nothing succeeds
  if (signal !== SIGKILL) return;
  await withDeadline(
    { component: 'shim', operation: 'kill of all processes', id: container.id, timeoutMs: KILL_ALL_MS },
    async (abort) => {
      await poll({ everyMs: 20, timeoutMs: KILL_ALL_MS, signal: abort }, () => (round() === 0 ? true : undefined));
    },
  );
}

function sendSignal(pid: number, signal: number): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ended between the listing and the signal
  }
}
