/** Whether and when a container that has ended is started again. */
import type { ContainerRecord } from './model.ts';

const firstDelayMs = 100;
const maxDelayMs = 60_000;
/** A run this long counts as a success: the delay begins anew. */
const settledMs = 10_000;

export function shouldRestart(record: ContainerRecord, exitCode: number): boolean {
  const { Name: name, MaximumRetryCount: limit } = record.hostConfig.RestartPolicy;
  if (record.isManuallyStopped) return false;
  if (name === 'always' || name === 'unless-stopped') return true;
  return name === 'on-failure' && exitCode !== 0 && (limit === 0 || record.restartCount < limit);
}

/** When the daemon starts: `always` forgets a manual stop, `unless-stopped` does not. */
export function shouldStartWithDaemon(record: ContainerRecord): boolean {
  const { Name: name } = record.hostConfig.RestartPolicy;
  if (!record.hasBeenStarted) return false;
  if (name === 'always') return true;
  return name === 'unless-stopped' && !record.isManuallyStopped;
}

export function nextDelayMs(previousMs: number, ranMs: number): number {
  if (previousMs === 0 || ranMs >= settledMs) return firstDelayMs;
  return Math.min(maxDelayMs, previousMs * 2);
}
