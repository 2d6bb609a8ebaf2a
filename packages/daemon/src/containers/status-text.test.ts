import { describe, expect, it } from 'vitest';
import { initialState } from './model.ts';
import { humanDuration, statusText } from './status-text.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

describe('humanDuration', () => {
  it.each([
    [900, 'Less than a second'],
    [second, '1 second'],
    [59 * second, '59 seconds'],
    [60 * second, 'About a minute'],
    [119 * second, 'About a minute'],
    [2 * minute, '2 minutes'],
    [59 * minute, '59 minutes'],
    [60 * minute, 'About an hour'],
    [3 * hour, '3 hours'],
    [47 * hour, '47 hours'],
    [2 * day, '2 days'],
    [14 * day, '2 weeks'],
    [60 * day, '2 months'],
    [800 * day, '2 years'],
  ])('%d ms is %s', (ms, text) => {
    expect(humanDuration(ms)).toBe(text);
  });
});

describe('statusText', () => {
  const now = Date.parse('2026-01-01T00:10:00Z');
  const at = '2026-01-01T00:00:00Z';
  const running = { ...initialState(), Status: 'running' as const, Running: true, StartedAt: at };
  it.each([
    [initialState(), undefined, 'Created'],
    [running, undefined, 'Up 10 minutes'],
    [running, 'healthy' as const, 'Up 10 minutes (healthy)'],
    [running, 'starting' as const, 'Up 10 minutes (health: starting)'],
    [{ ...running, Paused: true }, undefined, 'Up 10 minutes (Paused)'],
    [{ ...running, Restarting: true, ExitCode: 3, FinishedAt: at }, undefined, 'Restarting (3) 10 minutes ago'],
    [
      { ...initialState(), Status: 'exited' as const, ExitCode: 7, FinishedAt: at },
      undefined,
      'Exited (7) 10 minutes ago',
    ],
    [{ ...initialState(), Status: 'dead' as const, Dead: true }, undefined, 'Dead'],
  ])('%#: %s', (state, health, text) => {
    const of = health === undefined ? undefined : { Status: health, FailingStreak: 0, Log: [] };
    expect(statusText(state, of, now)).toBe(text);
  });
});
