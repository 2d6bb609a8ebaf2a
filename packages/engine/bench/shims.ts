/**
 * The table of shims: what supervises a container costs memory, how fast its output reaches the log, how long a byte takes
 * through it and back.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { debian12 } from '../test/harness/generations.ts';
import { endChild, type SandboxHost } from '../test/harness/sandbox-host.ts';
import { type Combination, combinations } from '../test/harness/shim-tables.ts';
import { measure, quantile } from './measure.ts';
import { shimMemory } from './memory.ts';
import type { Docker } from './rows.ts';

export interface BenchedEngine {
  readonly docker: Docker;
  /** Of the Engine API. */
  readonly socket: string;
  /** Every process of the engine names it. */
  readonly directory: string;
}

const levels = [1, 10, 50, 100];
const logMegabytes = 100;
const trips = 300;
const memoryTitle = 'memory (PSS) of all shims';

const logTitle = `stdout to json-file, ${logMegabytes} MB of 100-byte lines`;
const arrow = 'a line through stdin → cat → stdout';
const shimTitle = `${arrow}: ctr and the shim`;
const engineTitle = `${arrow}: docker CLI and the whole engine`;

/**
 * Lines of a table with the columns of the others. `host` is for a further containerd.
 * @param wanted words of the titles to be measured; `shims` or nothing: all
 */
export async function* shimRows(
  host: SandboxHost,
  theirs: BenchedEngine,
  own: BenchedEngine,
  wanted: string,
): AsyncGenerator<string> {
  const isWanted = (title: string) => 'shims'.includes(wanted) || title.includes(wanted);
  if (isWanted(memoryTitle)) yield* await memoryRows(theirs, own);
  if (isWanted(logTitle)) yield await throughputRow(theirs, own);
  if (isWanted(shimTitle)) yield await shimLatencyRow(host);
  if (isWanted(engineTitle)) yield await engineLatencyRow([theirs, own]);
}

async function throughputRow(theirs: BenchedEngine, own: BenchedEngine): Promise<string> {
  const line = 'a'.repeat(99);
  const run = async ({ docker }: BenchedEngine, megabytes: number) => {
    const script = `yes ${line} | head -c ${megabytes}000000`;
    await docker(['run', '-d', '--name', 'bench-log', '--network', 'none', 'busybox', 'sh', '-c', script]);
    await docker(['wait', 'bench-log'], { timeoutMs: 300_000 });
  };
  const variants = [theirs, own].flatMap((engine) =>
    [0, logMegabytes].map((megabytes) => ({
      name: 'log',
      run: async () => {
        const start = performance.now();
        await run(engine, megabytes);
        return performance.now() - start;
      },
      finish: () => engine.docker(['rm', '-f', 'bench-log']),
    })),
  );
  const times: number[][] = variants.map(() => []);
  for (let round = 0; round < 3; round++)
    for (const [i, variant] of variants.entries()) {
      times[i]?.push(await variant.run());
      await variant.finish();
    }
  const median = (i: number) =>
    quantile(
      (times[i] ?? []).toSorted((a, b) => a - b),
      0.5,
    );
  // the start of the container, which the other rows measure, is taken off
  const rates = [median(1) - median(0), median(3) - median(2)].map((ms) => logMegabytes / (ms / 1000));
  const [a = 0, b = 0] = rates;
  return `| ${logTitle} | ${a.toFixed(0)} MB/s | ${b.toFixed(0)} MB/s | **${(a / b).toFixed(2)}** | ≤ 0.25 |`;
}

/** By the same client on the same containerd: what differs is the shim. */
async function shimLatencyRow(host: SandboxHost): Promise<string> {
  const [reference, ours] = combinations(host, debian12);
  if (reference === undefined || ours === undefined) throw new Error('no shims to compare');
  await reference.containerd.start();
  const start = ({ containerd, shim }: Combination, id: string) =>
    spawn(
      'ctr',
      [
        '-a',
        containerd.socket,
        '-n',
        'table',
        'run',
        '--rm',
        '--runtime',
        shim,
        '--env',
        'PATH=/bin',
        '--rootfs',
        host.path('rootfs'),
        id,
        'cat',
      ],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    );
  const clients = [start(reference, 'theirs'), start(ours, 'ours')];
  const row = await latencyRow(shimTitle, clients);
  // ctr does not pass the end of its input on
  for (const [each, id] of [
    [reference, 'theirs'],
    [ours, 'ours'],
  ] as const)
    await each.ctr(['tasks', 'kill', '-s', 'KILL', id]);
  for (const client of clients) await endChild(client);
  return row;
}

async function engineLatencyRow(engines: readonly BenchedEngine[]): Promise<string> {
  const clients = engines.map(({ socket }) =>
    spawn('docker', ['-H', `unix://${socket}`, 'run', '-i', '--rm', '--network', 'none', 'busybox', 'cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    }),
  );
  const row = await latencyRow(engineTitle, clients);
  for (const client of clients) {
    client.stdin?.end();
    await endChild(client);
  }
  return row;
}

async function latencyRow(title: string, clients: readonly ChildProcess[]): Promise<string> {
  const roundTrips = async (client: ChildProcess, count: number) => {
    for (let i = 0; i < count; i++) {
      const ended = new AbortController();
      const end = once(client, 'exit', { signal: ended.signal }).then(() => {
        throw new Error(`${client.spawnargs.join(' ')} ended before its time`);
      });
      const answer = client.stdout === null ? undefined : once(client.stdout, 'data');
      client.stdin?.write('x\n');
      await Promise.race([answer, end]);
      end.catch(() => {}); // called off
      ended.abort();
    }
  };
  for (const client of clients) await roundTrips(client, 1); // the container runs
  const [a, b] = await measure(
    clients.map((client, i) => ({ name: String(i), run: () => roundTrips(client, trips) })),
    7,
  );
  const each = (times: readonly number[] = []) => quantile(times, 0.5) / trips;
  return `| ${title} | ${each(a?.times).toFixed(3)} ms | ${each(b?.times).toFixed(3)} ms | **${(each(b?.times) / each(a?.times)).toFixed(2)}** | ≤ 1 |`;
}

async function memoryRows(theirs: BenchedEngine, own: BenchedEngine): Promise<string[]> {
  const rows: string[] = [];
  const names: string[] = [];
  let last = { count: 0, own: 0 };
  for (const count of levels) {
    for (let i = names.length; i < count; i++) {
      names.push(`bench-s${i}`);
      for (const { docker } of [theirs, own])
        await docker(['run', '-d', '--network', 'none', '--name', `bench-s${i}`, 'busybox', 'sleep', '100000'], {
          timeoutMs: 60_000,
        });
    }
    const [a, b] = [shimMemory(theirs.directory) / 1e6, shimMemory(own.directory) / 1e6];
    rows.push(
      `| ${memoryTitle} with ${count} idle container${count === 1 ? '' : 's'} | ${a.toFixed(1)} MB | ${b.toFixed(1)} MB | **${(b / a).toFixed(2)}** | |`,
    );
    if (count === levels.at(-1))
      rows.push(
        `| of which each further container beyond ${last.count} | ${(a / count).toFixed(2)} MB | ${((b - last.own) / (count - last.count)).toFixed(2)} MB | | ≤ 0.1 MB |`,
      );
    last = { count, own: b };
  }
  for (const { docker } of [theirs, own]) await docker(['rm', '-f', ...names], { timeoutMs: 300_000 });
  return rows;
}
