/**
 * Power cuts: a containerd is traced while it works, and the stores are opened on what each moment of it could have left on the
 * disk. `BOXSHIP_CRASH_STATES=50000` looks at more of them, `BOXSHIP_CRASH_SEED` at others.
 */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isFull } from '../../tooling/full.ts';
import type { CheckResult } from './crash/check.ts';
import { tracedCalls } from './crash/trace.ts';

const wanted = Number(process.env['BOXSHIP_CRASH_STATES'] ?? (isFull ? 50_000 : 5_000));
const seed = process.env['BOXSHIP_CRASH_SEED'] ?? '1';

const directory = mkdtempSync(join(tmpdir(), 'boxship-crash-'));
// the checks write thousands of small trees: they belong into memory
const memory = mkdtempSync('/dev/shm/boxship-crash-');
const node = [process.execPath, '--no-warnings', '--conditions=@boxship/source'] as const;
const programOf = (name: string): string => join(import.meta.dirname, 'crash', name);

beforeAll(() => {
  mkdirSync(join(directory, 'root'));
  const calls = ['-f', '-qq', '-xx', '-s', '1000000', '--seccomp-bpf', '-e', `trace=${tracedCalls.join(',')}`];
  execFileSync('strace', [...calls, '-o', join(directory, 'trace'), ...node, programOf('workload.ts'), directory], {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: 60_000,
  });
});
afterAll(() => {
  for (const path of [directory, memory]) rmSync(path, { recursive: true, force: true });
});

/** In two processes, one per core of a small machine. */
async function check(states: number, syncs: 'synced' | 'unsynced'): Promise<CheckResult> {
  const common = [...node.slice(1), programOf('check.ts'), directory, memory, String(states), seed, syncs];
  const results = await Promise.all(
    ['0', '1'].map(async (share) => {
      const { stdout } = await promisify(execFile)(node[0], [...common, share, '2']);
      return JSON.parse(stdout) as CheckResult;
    }),
  );
  return {
    states: results.reduce((sum, result) => sum + result.states, 0),
    fault: results.find(({ fault }) => fault !== undefined)?.fault,
  };
}

describe('a power cut', () => {
  it(`leaves what was acknowledged, and nothing half done, in ${wanted} states`, { timeout: 60 * 60_000 }, async () => {
    expect(await check(wanted, 'synced')).toEqual({ states: wanted });
  });

  it('would not without the syncs, which shows that the states are what they should be', async () => {
    const { fault } = await check(5_000, 'unsynced');
    expect(fault).toContain('cut after');
  });
});
