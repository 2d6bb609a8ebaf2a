/**
 * A disk that is full or broken, and a kill, at any single call: the workload runs into the fault, ends as it likes, and the stores are
 * opened on what it has left. `BOXSHIP_TEST_FULL=1` tries every call, `BOXSHIP_CRASH_SEED` others than the usual ones.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { isFull } from '../../tooling/full.ts';
import { factsAt } from './crash/facts.ts';
import { faultsOf } from './crash/oracle.ts';
import { randomNumbers } from './crash/states.ts';
import type { Change } from './crash/trace.ts';

const calls = ['pwrite64', 'fsync', 'fdatasync', 'rename', 'mkdir', 'unlink', 'ftruncate', 'fchmod', 'syncfs'] as const;
const faults = ['error=ENOSPC', 'error=EIO', 'signal=KILL'] as const;
const tries = 9; // each takes about a second
const runMs = 60_000;

interface Injection {
  readonly call: string;
  readonly fault: string;
  /** The how manieth of a thread's calls. */
  readonly when: number;
}

const seed = Number(process.env['BOXSHIP_CRASH_SEED'] ?? '1');
const memory = mkdtempSync('/dev/shm/boxship-faults-');
afterAll(() => rmSync(memory, { recursive: true, force: true }));
let runs = 0;

/** Runs the workload in a new directory under strace with the arguments. */
function run(strace: readonly string[]): { directory: string; code: number | null } {
  const directory = join(memory, String(runs++));
  mkdirSync(join(directory, 'root'), { recursive: true });
  const workload = join(import.meta.dirname, 'crash', 'workload.ts');
  const node = [process.execPath, '--no-warnings', '--conditions=@boxship/source', workload, directory];
  const { status, error } = spawnSync('strace', ['-f', '-qqq', ...strace, ...node], {
    stdio: 'ignore',
    timeout: runMs,
  });
  if (error !== undefined) throw error; // strace is not there, or the workload hangs
  return { directory, code: status };
}

/** How often the busiest thread of an undisturbed run makes each call. */
function counts(): Map<string, number> {
  const file = join(memory, 'trace');
  const { directory, code } = run(['-e', `trace=${calls.join(',')}`, '-o', file]);
  expect(code).toBe(0);
  rmSync(directory, { recursive: true });
  const byThread = new Map<string, number>();
  for (const [, thread = '', call = ''] of readFileSync(file, 'latin1').matchAll(/^(\d+) +(\w+)\(/gm))
    byThread.set(`${thread} ${call}`, (byThread.get(`${thread} ${call}`) ?? 0) + 1);
  const most = new Map<string, number>();
  for (const [key, count] of byThread) {
    const call = key.slice(key.indexOf(' ') + 1);
    most.set(call, Math.max(most.get(call) ?? 0, count));
  }
  return most;
}

function* injections(most: ReadonlyMap<string, number>): Generator<Injection> {
  const all: Injection[] = [];
  for (const [call, count] of most)
    for (const fault of faults) for (let when = 1; when <= count; when++) all.push({ call, fault, when });
  if (isFull) return yield* all;
  const random = randomNumbers(seed);
  // of each call as often as of the others, however often it is made
  for (let i = 0; i < tries; i++) {
    const call = [...most.keys()][i % most.size];
    const of = all.filter((one) => one.call === call);
    const [one] = of.slice(Math.floor(random() * of.length));
    if (one !== undefined) yield one;
  }
}

/** What the workload has said; the last line may be cut. */
function said(directory: string): Change[] {
  const file = join(directory, 'acknowledgements');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => ({ kind: 'say', text: line }) as const);
}

describe('a fault of one call', () => {
  it('loses nothing that was acknowledged and stores nothing wrong', {
    timeout: isFull ? 3 * 3_600_000 : 300_000,
  }, async () => {
    let struck = 0;
    for (const { call, fault, when } of injections(counts())) {
      const { directory, code } = run([
        '-e',
        `trace=${call}`,
        '-e',
        `inject=${call}:${fault}:when=${when}`,
        '-o',
        '/dev/null',
      ]);
      if (code !== 0) struck++;
      const facts = factsAt(said(directory), Number.POSITIVE_INFINITY);
      const wrong = await faultsOf(join(directory, 'root'), facts, {
        isMounted: false,
        round: when % 2,
      }).catch((error: Error) => [error.stack ?? error.message]);
      expect(wrong, `${fault} at call ${when} of ${call}, seed ${seed}`).toEqual([]);
      rmSync(directory, { recursive: true });
    }
    expect(struck).toBeGreaterThan(0);
  });

  it('would be seen: an image that was promised and is not there is told', async () => {
    const { directory } = run(['-e', 'trace=none', '-o', '/dev/null']);
    const facts = factsAt(said(directory), Number.POSITIVE_INFINITY).set('image promised', ['sha256:0']);
    const wrong = await faultsOf(join(directory, 'root'), facts, { isMounted: false, round: 0 });
    expect(wrong).toContain('after the start: image promised is null, not sha256:0');
  });
});
