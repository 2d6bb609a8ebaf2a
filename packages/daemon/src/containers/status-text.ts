/** The STATUS column: `Up 2 minutes (healthy)`, `Exited (0) 3 hours ago`. */
import type { ContainerState, Health } from '@boxship/engine-api';
import { parseTimeMs } from '../clock.ts';

/** Docker's words for a span of time. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(ms / 3_600_000);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(hours / 24 / 30)} months`;
  return `${Math.floor(hours / 24 / 365)} years`;
}

export function statusText(state: ContainerState, health: Health | undefined, nowMs: number): string {
  const since = (time: string) => humanDuration(Math.max(0, nowMs - parseTimeMs(time)));
  if (state.Running) {
    if (state.Paused) return `Up ${since(state.StartedAt)} (Paused)`;
    if (state.Restarting) return `Restarting (${state.ExitCode}) ${since(state.FinishedAt)} ago`;
    const check =
      health === undefined || health.Status === 'none'
        ? ''
        : ` (${health.Status === 'starting' ? 'health: starting' : health.Status})`;
    return `Up ${since(state.StartedAt)}${check}`;
  }
  if (state.Status === 'removing') return 'Removal In Progress';
  if (state.Dead) return 'Dead';
  if (state.Status === 'created') return 'Created';
  return Number.isNaN(parseTimeMs(state.FinishedAt)) ? '' : `Exited (${state.ExitCode}) ${since(state.FinishedAt)} ago`;
}
