/**
 * One table for two containerds and two shims, in two generations: what ctr sees must be the same in all four combinations.
 * The reference is Debian's containerd with its own shim.
 */
import { poll } from '@boxship/base';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { inFull } from '../../../tooling/full.ts';
import { processesWith } from '../harness/engine-under-test.ts';
import { generations } from '../harness/generations.ts';
import { SandboxHost } from '../harness/sandbox-host.ts';
import { type Combination, combinations } from '../harness/shim-tables.ts';

let host: SandboxHost;
let all: Combination[] = [];
const parallelRuns = inFull(50, 10);

const until = async (what: () => Promise<boolean>, timeoutMs = 15_000) =>
  expect(await poll({ everyMs: 30, timeoutMs }, async () => (await what()) || undefined), what.toString()).toBe(true);
const hasStatus = (each: Combination, id: string, status: string) =>
  until(async () => (await each.status(id)) === status);
const pidOf = async ({ ctr }: Combination, id: string): Promise<number> =>
  Number(
    (await ctr(['tasks', 'ls'])).stdout
      .split('\n')
      .find((line) => line.startsWith(`${id} `))
      ?.split(/\s+/)[1],
  );
/** A life's end: what `tasks rm` and `containers rm` say. */
const remove = async ({ ctr }: Combination, id: string) => [
  await ctr(['tasks', 'rm', id]),
  await ctr(['containers', 'rm', id]),
];

const killOfContainerd = 'kill -9 of containerd and its return: the living are found, the exit of the dead is told';

/** What is asked of each combination; the answers are compared. */
const rows: readonly (readonly [string, (each: Combination) => Promise<unknown>])[] = [
  [
    'output, errors and exit codes in the foreground',
    async ({ run }) => [
      await run('fg0', ['sh', '-c', 'echo out; echo err >&2'], ['--rm']),
      await run('fg7', ['sh', '-c', 'exit 7'], ['--rm']),
      await run('fgt', ['sh', '-c', 'exec 2>/dev/null; sleep 9 & kill -9 $!; wait $!'], ['--rm']),
    ],
  ],
  [
    'a program that does not exist',
    async (each) => {
      const { code, stderr } = await each.run('bad', ['/nope'], ['--rm']);
      await each.ctr(['containers', 'rm', 'bad']);
      return { code, stderr };
    },
  ],
  [
    'a terminal',
    async ({ containerd, shim, env }) => {
      const command = `ctr -a ${containerd.socket} -n table run --rm -t --runtime ${shim} --env PATH=/bin --rootfs ${host.path('rootfs')} tty sh -c 'tty; sleep 0.3; exit 4'`;
      const { code, stdout } = await host.run('script', ['-qec', command, '/dev/null'], { env });
      // `script` may echo the end of its own input in front
      return { code, stdout: stdout.replace('^@', '') };
    },
  ],
  [
    'a detached life: exec, ps, pause, resume, kill, removal, and what is refused meanwhile',
    async (each) => {
      const { ctr, run } = each;
      const exec = (name: string, ...command: string[]) =>
        ctr(['tasks', 'exec', '--exec-id', name, 'life', ...command]);
      const seen: unknown[] = [await run('life', ['sleep', '1000'], ['-d'])];
      seen.push(await each.status('life'));
      seen.push(await exec('e1', '/bin/sh', '-c', 'echo in; exit 5'));
      seen.push(await exec('e2', '/nope'));
      seen.push((await ctr(['tasks', 'ps', 'life'])).stdout.trim().split('\n').length);
      seen.push(await ctr(['tasks', 'resume', 'life']));
      seen.push(await ctr(['tasks', 'pause', 'life']), await each.status('life'));
      seen.push(await ctr(['tasks', 'resume', 'life']), await each.status('life'));
      seen.push(await ctr(['tasks', 'rm', 'life']), await ctr(['tasks', 'start', 'life']));
      seen.push(await ctr(['tasks', 'kill', '-s', 'KILL', 'life']));
      await hasStatus(each, 'life', 'STOPPED');
      seen.push(await ctr(['tasks', 'kill', 'life']), await exec('e3', '/bin/true'));
      seen.push(await remove(each, 'life'));
      return seen;
    },
  ],
  [
    'attach shows what the process prints and ends with it',
    async (each) => {
      await each.run('att', ['sh', '-c', 'while :; do echo tick; usleep 50000; done'], ['-d']);
      const attached = each.ctr(['tasks', 'attach', 'att']);
      await each.ctr(['tasks', 'exec', '--exec-id', 'wait', 'att', '/bin/sh', '-c', 'usleep 600000']);
      await each.ctr(['tasks', 'kill', '-s', 'KILL', 'att']);
      const { code, stdout } = await attached;
      await each.ctr(['containers', 'rm', 'att']);
      return { code, lines: [...new Set(stdout.split('\n'))] };
    },
  ],
  [
    'metrics: which there are',
    async (each) => {
      await each.run('met', ['sleep', '1000'], ['-d']);
      const { stdout } = await each.ctr(['tasks', 'metrics', '--format', 'json', 'met']);
      await each.ctr(['tasks', 'rm', '-f', 'met']);
      await each.ctr(['containers', 'rm', 'met']);
      const metrics = JSON.parse(stdout) as { pids: object; memory: { usage: { usage: number } } };
      // what is zero is left out: only what cannot be is compared
      return {
        keys: Object.keys(metrics).toSorted(),
        pids: metrics.pids,
        isMemoryUsed: metrics.memory.usage.usage > 0,
      };
    },
  ],
  [
    'events of a life and of an exec, in order',
    async (each) => {
      const name = `events-${all.indexOf(each)}`;
      const watcher = host.start(name, 'ctr', ['--address', each.containerd.socket, 'events'], each.env);
      // the subscription has no sign of its own: events of containers are asked for until one arrives
      await until(async () => {
        await each.run('probe', ['true'], ['--rm']);
        return host.logOf(name).includes('/containers/delete');
      });
      await each.run('evt', ['sleep', '1000'], ['-d']);
      await each.ctr(['tasks', 'exec', '--exec-id', 'x', 'evt', '/bin/true']);
      await each.ctr(['tasks', 'pause', 'evt']);
      await each.ctr(['tasks', 'resume', 'evt']);
      await each.ctr(['tasks', 'kill', '-s', 'KILL', 'evt']);
      await hasStatus(each, 'evt', 'STOPPED');
      await remove(each, 'evt');
      const topics = () =>
        host
          .logOf(name)
          .split('\n')
          .filter((line) => line.includes('"evt"'))
          .flatMap((line) => /\/tasks\/[a-z-]+/.exec(line) ?? []);
      await until(async () => topics().includes('/tasks/delete'));
      watcher.kill();
      return topics();
    },
  ],
  [
    `${parallelRuns} runs at once, each with its own code`,
    async ({ run }) =>
      await Promise.all(
        Array.from({ length: parallelRuns }, async (_, i) => {
          const { code, stdout } = await run(`par${i}`, ['sh', '-c', `echo ${i}; exit ${i}`], ['--rm']);
          return [code, stdout];
        }),
      ),
  ],
  [
    killOfContainerd,
    async (each) => {
      await each.run('live', ['sleep', '1000'], ['-d']);
      await each.run('dead', ['sleep', '1000'], ['-d']);
      const pid = await pidOf(each, 'dead');
      await each.containerd.kill();
      process.kill(pid, 'SIGKILL');
      await each.containerd.start();
      await hasStatus(each, 'dead', 'STOPPED');
      const seen: unknown[] = [await each.status('live'), await remove(each, 'dead')];
      seen.push(await each.ctr(['tasks', 'exec', '--exec-id', 'x', 'live', '/bin/echo', 'there']));
      await each.ctr(['tasks', 'kill', '-s', 'KILL', 'live']);
      await hasStatus(each, 'live', 'STOPPED');
      seen.push(await remove(each, 'live'));
      return seen;
    },
  ],
];

/** ctr's own log lines carry the time. */
const withoutTimes = (seen: unknown): unknown => JSON.parse(JSON.stringify(seen).replace(/time=\\"[^"]*"/g, ''));

describe.each(generations)('containerd $containerd and ours, with their shims', (generation) => {
  const { missing } = generation;
  beforeAll(async () => {
    if (missing !== undefined) return;
    host = new SandboxHost();
    all = combinations(host, generation);
    for (const containerd of new Set(all.map((each) => each.containerd))) await containerd.start();
  });
  afterAll(async () => {
    if (missing !== undefined) return;
    for (const { ctr } of all) {
      for (const id of (await ctr(['containers', 'ls', '-q'])).stdout.split('\n').filter(Boolean)) {
        await ctr(['tasks', 'rm', '-f', id]);
        await ctr(['containers', 'rm', id]);
      }
    }
    await host[Symbol.asyncDispose]();
  });
  beforeEach((context) => context.skip(missing !== undefined, missing));

  // 1.7 itself gives up the task of an init that ended while it was away: there is nothing to compare with
  it.each(rows.filter(([name]) => generation.debian === 12 || name !== killOfContainerd))(
    '%s',
    async (_name, ask) => {
      const [reference, ...others] = all;
      if (reference === undefined) throw new Error('no combination');
      const expected = withoutTimes(await ask(reference));
      for (const each of others) expect(withoutTimes(await ask(each)), each.title).toEqual(expected);
    },
    inFull(300_000, 120_000),
  );

  it('leave no process of a container behind', async () => {
    const shims = () =>
      all
        .flatMap(({ containerd }) => processesWith(containerd.socket))
        .filter(({ commandLine }) => commandLine.includes('-namespace table'));
    // our containerd keeps one warm shim for its group
    await until(async () => shims().every(({ commandLine }) => commandLine.includes('-id default')));
  });
});
