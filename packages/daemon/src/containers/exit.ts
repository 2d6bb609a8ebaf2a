/**
 * The end of a run: what is known of it is written, the run's resources are given back, those who wait are told, and the
 * restart policy has its say. Called for the exit event and, with the same facts, by reconciliation.
 */
import { BoxshipError, sleep } from '@boxship/base';
import { parseTimeMs } from '../clock.ts';
import { publishEndpointEvents } from '../networks/events.ts';
import type { Parts } from '../parts.ts';
import { removeRunFiles } from './files.ts';
import { type Container, eventAttributes } from './model.ts';
import { removeEnded } from './removal.ts';
import { nextDelayMs, shouldRestart } from './restart-policy.ts';
import { launch } from './start.ts';
import { endTask, forgetRegistration } from './task.ts';
import { publishVolumeEvents } from './volume-mounts.ts';

export interface TaskEnd {
  readonly exitCode: number;
  /** RFC 3339. */
  readonly finishedAt: string;
  /** Set when the truth was lost. */
  readonly error?: string;
  /** Init pid of the run that ended; another run's end is ignored. */
  readonly pid?: number;
}

export async function handleExit(parts: Parts, container: Container, end: TaskEnd): Promise<void> {
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  if (!record.state.Running || record.state.Restarting) return; // handled already
  if (end.pid !== undefined && end.pid !== 0 && record.state.Pid !== end.pid) return;
  container.hasTaskExited = true;
  container.healthMonitor?.abort();
  container.stdin?.close();
  container.stdin = undefined;
  const { exitCode } = end;
  const willRestart = shouldRestart(record, exitCode) && !parts.stopping.aborted;
  const willGo = !willRestart && record.hostConfig.AutoRemove;
  await Promise.all([
    giveBackNetwork(parts, container),
    // of one that goes nobody can want more: the runtime's part is cleared when its end was told
    willGo ? undefined : endTask(parts, container.id).catch(notGivenBack(parts, container, 'task')),
  ]);
  removeRunFiles(parts.config, container.id);
  // nobody waits for containerd's record to go; the turn does not end before
  const forgetting = willGo
    ? undefined
    : forgetRegistration(parts, container.id).catch(notGivenBack(parts, container, 'registration'));
  const ranMs = parseTimeMs(end.finishedAt) - parseTimeMs(record.state.StartedAt);
  record.state = {
    ...record.state,
    Status: willRestart ? 'restarting' : 'exited',
    Running: willRestart,
    Restarting: willRestart,
    Paused: false,
    OOMKilled: container.hasOomEvent,
    Pid: 0,
    ExitCode: exitCode,
    Error: end.error ?? '',
    FinishedAt: end.finishedAt,
  };
  if (willRestart) record.restartCount++;
  parts.containers.save(container);
  parts.events.publish('container', 'die', container.id, {
    ...eventAttributes(record),
    execDuration: String(Math.max(0, Math.floor(ranMs / 1000))),
    exitCode: String(exitCode),
  });
  container.waiters.exited({ exitCode, ...(end.error === undefined ? {} : { error: end.error }) });
  if (willRestart) scheduleRestart(parts, container, ranMs);
  else if (willGo) await removeEnded(parts, container);
  await forgetting;
}

/** Addresses, ports and names. What fails here is repeated at the next start of the daemon. */
async function giveBackNetwork(parts: Parts, container: Container): Promise<void> {
  const { record, id } = container;
  const { sandbox } = record;
  if (sandbox !== undefined) await parts.network?.removeSandbox(id).catch(notGivenBack(parts, container, 'sandbox'));
  record.sandbox = undefined;
  if (sandbox !== undefined) publishEndpointEvents(parts, id, sandbox.endpoints, 'disconnect');
  publishVolumeEvents(parts, container, 'unmount');
}

const notGivenBack = (parts: Parts, container: Container, what: string) => (error: unknown) =>
  parts.log.error(`${what} was not given back`, { container: container.id, error });

function scheduleRestart(parts: Parts, container: Container, ranMs: number): void {
  container.restartDelayMs = nextDelayMs(container.restartDelayMs, ranMs);
  const pending = new AbortController();
  container.pendingRestart = pending;
  const signal = AbortSignal.any([pending.signal, parts.stopping]);
  restartLater(parts, container, signal).catch((error: unknown) => {
    if (signal.aborted) return;
    parts.log.warn('restart failed', { container: container.id, error });
  });
}

async function restartLater(parts: Parts, container: Container, signal: AbortSignal): Promise<void> {
  await sleep(container.restartDelayMs, signal);
  using _turn = await parts.mutex.acquire(container.id);
  if (signal.aborted || !container.record.state.Restarting) return;
  container.pendingRestart = undefined;
  try {
    await launch(parts, container);
  } catch (error) {
    // a restart that cannot start is tried again like one that ended at once
    const { record } = container;
    if (!shouldRestart(record, record.state.ExitCode) || record.phase === 'removing') throw error;
    record.restartCount++;
    record.state = { ...record.state, Status: 'restarting', Running: true, Restarting: true };
    parts.containers.save(container);
    scheduleRestart(parts, container, 0);
    throw BoxshipError.from(error);
  }
}
