/**
 * The program that opens the stores on state after state; apart from the test, because it is a great deal of work that a test
 * runner slows down. Arguments: directory with `trace` and `acknowledgements`, directory in memory, number of states, seed,
 * `synced` or `unsynced` (syncs are ignored: nothing survives but by luck), and which share of how many. Prints how many it
 * looked at and the first fault.
 */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { factsAt } from './facts.ts';
import { faultsOf } from './oracle.ts';
import { type CrashState, crashStates, DiskImage } from './states.ts';
import { type Change, parseTrace } from './trace.ts';

export interface CheckResult {
  readonly states: number;
  readonly fault: string | undefined;
}

/** One state in so many has its snapshots mounted, too. */
const mountedEvery = 50;
const atOnce = 4;

const [directory = '', memory = '', count = '', seed = '', syncs = '', share = '', shares = ''] = process.argv.slice(2);
const wanted = Number(count);
const paths = { root: join(directory, 'root'), acknowledgements: join(directory, 'acknowledgements') };
const trace = parseTrace(readFileSync(join(directory, 'trace'), 'latin1'), paths);
const changes = syncs === 'synced' ? trace : trace.filter(({ kind }) => kind !== 'sync');

async function check(state: CrashState, image: DiskImage, number: number): Promise<string | undefined> {
  const path = join(memory, String(number));
  image.writeTo(path);
  const options = { isMounted: number % mountedEvery === 0, round: number % 2 };
  const faults = await faultsOf(path, factsAt(changes, state.length), options).catch((error: Error) => [
    error.stack ?? error.message,
  ]);
  rmSync(path, { recursive: true });
  return faults.length === 0
    ? undefined
    : `seed ${seed}, state ${number}: ${describeState(state)}:\n${faults.join('\n')}`;
}

function describeState({ length, lost }: CrashState): string {
  const hideBytes = (key: string, value: unknown): unknown => (key === 'bytes' ? '…' : value);
  const losses = [...lost].map(
    ([index, kept]) =>
      `${index} (${kept} kept) ${JSON.stringify(changes[index] satisfies Change | undefined, hideBytes)}`,
  );
  return `cut after ${length} changes, lost ${losses.join(', ') || 'nothing'}`;
}

async function run(): Promise<CheckResult> {
  const seen = new Set<string>();
  let checked = 0;
  let running: Promise<string | undefined>[] = [];
  for (const state of crashStates(changes, { seed: Number(seed), isLossy: syncs === 'unsynced' })) {
    const image = new DiskImage(changes, state);
    const identity = `${image.digest()} ${JSON.stringify([...factsAt(changes, state.length)])}`;
    if (seen.has(identity)) continue;
    if (seen.size % Number(shares) === Number(share)) {
      running.push(check(state, image, seen.size));
      checked++;
    }
    seen.add(identity);
    if (running.length < atOnce && seen.size < wanted) continue;
    const fault = (await Promise.all(running)).find((one) => one !== undefined);
    running = [];
    if (fault !== undefined || seen.size === wanted) return { states: checked, fault };
  }
  throw new Error('unreachable: states never end');
}

process.stdout.write(JSON.stringify(await run()));
