/**
 * Ten clients at once on our containerd, run after run, some with an exec: none fails, and nothing is left.
 * `BOXSHIP_STRESS_SECONDS=300` keeps on for five minutes.
 */
import { existsSync, readdirSync } from 'node:fs';
import { mountsUnder } from '@boxship/linux';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isFull } from '../../../tooling/full.ts';
import { programPath } from '../../src/paths.ts';
import { processesWith } from '../harness/engine-under-test.ts';
import { startRegistry } from '../harness/peers.ts';
import { SandboxHost } from '../harness/sandbox-host.ts';
import { makeTestImage, pushTestImage } from '../harness/test-image.ts';

const seconds = Number(process.env['BOXSHIP_STRESS_SECONDS'] ?? (isFull ? 300 : 15));
const clients = 10;
const image = '127.0.0.1:5000/box:1';

let host: SandboxHost;
let socket: string;
const ctr = (...args: string[]) =>
  host.run('ctr', ['--address', socket, '--namespace', 'stress', ...args], { timeoutMs: 120_000 });

beforeAll(async () => {
  host = new SandboxHost();
  socket = host.path('c.sock');
  const args = ['--root', host.path('root'), '--state', host.path('state'), '--address', socket];
  const shim = ['--shim', programPath('containerd-shim-boxship-v2')];
  host.start('containerd', process.execPath, ['--no-warnings', programPath('boxship-containerd'), ...args, ...shim]);
  await Promise.all([host.listening(socket), startRegistry(host)]);
  await pushTestImage(host, makeTestImage(host), image);
  const { code, stderr } = await ctr('images', 'pull', '--plain-http', image);
  expect(code, stderr).toBe(0);
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

const bundles = (): string[] => {
  const directory = host.path('state/io.containerd.runtime.v2.task/stress');
  return existsSync(directory) ? readdirSync(directory).filter((name) => !name.startsWith('.')) : [];
};
const census = async () => ({
  containers: (await ctr('containers', 'ls', '-q')).stdout,
  tasks: (await ctr('tasks', 'ls', '-q')).stdout,
  leases: (await ctr('leases', 'ls', '-q')).stdout,
  snapshots: (await ctr('snapshots', 'ls')).stdout.trim().split('\n').length,
  content: (await ctr('content', 'ls', '-q')).stdout.trim().split('\n').length,
  bundles: bundles().length,
  mounts: mountsUnder(host.directory).length,
  runc: processesWith(host.directory).filter(({ commandLine }) => /\brunc\b/.test(commandLine)).length,
});

it(`serves ${clients} clients at once for ${seconds} s without a failure and without a leak`, {
  timeout: (seconds + 120) * 1000,
}, async () => {
  expect((await ctr('run', '--rm', image, 'warm', 'true')).code).toBe(0);
  const before = await census();
  const until = performance.now() + seconds * 1000;
  const failures: string[] = [];
  let runs = 0;
  const check = async (what: string, wanted: number, ...args: string[]): Promise<void> => {
    const { code, stdout, stderr } = await ctr(...args);
    if (code !== wanted) failures.push(`${what}: ${code} instead of ${wanted}: ${stderr || stdout}`);
  };
  const client = async (number: number): Promise<void> => {
    for (let round = 0; performance.now() < until; round++) {
      const id = `s${number}-${round}`;
      runs++;
      if (round % 4 !== 3) {
        await check(id, round % 50, 'run', '--rm', image, id, 'sh', '-c', `exit ${round % 50}`);
        continue;
      }
      await check(`${id} start`, 0, 'run', '-d', image, id, 'sleep', '1000');
      await check(`${id} exec`, 7, 'tasks', 'exec', '--exec-id', 'e', id, 'sh', '-c', 'exit 7');
      await check(`${id} end`, 0, 'tasks', 'rm', '-f', id);
      await check(`${id} remove`, 0, 'containers', 'rm', id);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  expect(failures).toEqual([]);
  expect(runs).toBeGreaterThan(clients);
  await ctr('leases', 'create', '--id', 'gc');
  await ctr('leases', 'rm', '--sync', 'gc');
  expect(await census()).toEqual(before);
});
