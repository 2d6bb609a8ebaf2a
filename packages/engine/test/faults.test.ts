/** What hangs, and what is down, stays its own trouble: containers write, end and are killed all the same. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, openSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { poll, withDeadline } from '@boxship/base';
import { childrenOf, closePidfd, makeFifo, onPidfdExit, openPidfd, processStat, sharedPoller } from '@boxship/linux';
import { afterAll, describe, expect, it } from 'vitest';
import { inFull } from '../../tooling/full.ts';
import { engineForFile } from './harness/engine-for-file.ts';

const { host, engine } = await engineForFile();
mkdirSync(host.path('shared'));

const until = async (what: () => boolean | Promise<boolean>, timeoutMs = 30_000) =>
  expect(await poll({ everyMs: 20, timeoutMs }, async () => (await what()) || undefined), what.toString()).toBe(true);
/** Waits for the flag without a look at it: an end of a FIFO that has no writer cannot be opened until then. */
function flagged(flag: string): string {
  makeFifo(host.path('shared', flag));
  return `: < /h/${flag}`;
}
const raised: number[] = [];
/** For all who wait, and for those who have not come to it yet. */
const raise = (flag: string) =>
  void raised.push(openSync(host.path('shared', flag), constants.O_RDWR | constants.O_NONBLOCK));
afterAll(() => {
  for (const fd of raised) closeSync(fd);
});
/** Lines of 100 bytes, counted. */
const numbers = (lines: number) => `awk 'BEGIN{for(i=1;i<=${lines};i++) printf "%099d\\n", i}'`;
const hasEnded = (pid: number) => ['Z', undefined].includes(processStat(pid)?.state);
const runDetached = async (name: string, script: string, ...flags: readonly string[]) => {
  const volume = `${host.path('shared')}:/h`;
  await engine.mustDocker([
    'run',
    '-d',
    '--network',
    'none',
    '--name',
    name,
    '-v',
    volume,
    ...flags,
    'busybox',
    'sh',
    '-c',
    script,
  ]);
  return Number((await engine.mustDocker(['inspect', '-f', '{{.State.Pid}}', name])).trim());
};
/** Writes such lines one by one, and to a file how many writes took longer than 10 ms. */
const timedWriter = `
const { writeSync, writeFileSync } = require('node:fs');
let slow = 0;
for (let i = 1; i <= Number(process.argv[2]); i++) {
  const line = String(i).padStart(99, '0') + '\\n';
  const before = performance.now();
  writeSync(1, line);
  if (performance.now() - before > 10) slow++;
}
writeFileSync('/h/slow', String(slow));
`;
/** SIGSTOP: they are down for all, and nobody starts them again. */
function hold(pids: readonly number[]): Disposable {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return {
    [Symbol.dispose]() {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  };
}
/** When the processes end, as one who does nothing but wait for it, and before all others, is told by the kernel. */
async function endsOf(pids: readonly number[], begin: () => void): Promise<readonly number[]> {
  const handles = pids.map(openPidfd);
  const ends = Promise.all(
    handles.map(
      (pidfd) => new Promise<number>((resolve) => onPidfdExit(sharedPoller(), pidfd, () => resolve(Date.now()))),
    ),
  );
  setPriority(-20);
  try {
    begin();
    return await withDeadline({ component: 'test', operation: 'end of containers', timeoutMs: 30_000 }, () => ends);
  } finally {
    setPriority(0);
    for (const pidfd of handles) closePidfd(sharedPoller(), pidfd);
  }
}
const upperParts = () => [engine.pidOf('daemon'), engine.pidOf('containerd')];

describe('while daemon and containerd answer nobody', () => {
  const megabytes = inFull(100, 10);
  it(
    `a container prints ${megabytes} MB without waiting, and none of it is lost`,
    async () => {
      const lines = (megabytes * 1_000_000) / 100;
      writeFileSync(host.path('shared/writer.cjs'), timedWriter);
      const libraries = ['/lib', '/lib64', '/usr/lib'].flatMap((path) => ['-v', `${path}:${path}:ro`]);
      const node = ['-v', `${realpathSync(process.execPath)}:/node:ro`, ...libraries];
      const pid = await runDetached('burst', `${flagged('burst')}; /node /h/writer.cjs ${lines}; exit 7`, ...node);
      const shims = engine.shimPids();
      const residentBefore = shims.map(residentBytes);
      {
        using _held = hold(upperParts());
        raise('burst');
        // it has written all of it before anybody is there to read
        await until(() => hasEnded(pid), inFull(120_000, 60_000));
      }
      // a thousandth is the machine's, which has other things to do
      expect(Number(readFileSync(host.path('shared/slow'), 'utf8'))).toBeLessThanOrEqual(lines / 1000);
      // who takes the output in holds none of it
      const grown = shims.map((shim, index) => residentBytes(shim) - (residentBefore[index] ?? 0));
      expect(Math.max(...grown)).toBeLessThan(20 * 1024 * 1024);
      expect(await engine.mustDocker(['wait', 'burst'])).toBe('7\n');
      const { stdout } = await engine.docker(['logs', 'burst'], { timeoutMs: 60_000 });
      const seen = stdout.trimEnd().split('\n');
      expect(seen.length).toBe(lines);
      expect(seen.findIndex((line, index) => Number(line) !== index + 1)).toBe(-1);
      await engine.mustDocker(['rm', 'burst']);
    },
    inFull(300_000, 120_000),
  );

  const ends: readonly (readonly [string, number])[] = [
    ['exit 0', 0],
    ['exit 1', 1],
    ['exit 42', 42],
    ['exit 255', 255],
    ['kill -TERM $$', 143],
    ['kill -KILL $$', 137],
    ['kill -SEGV $$', 139],
  ];
  const count = inFull(50, 14);
  it(
    `${count} containers end: codes, last lines and times are right when both are back as new processes`,
    async () => {
      const round = Date.now(); // what an attempt that failed has left has other names
      const flag = `end-${round}`;
      const wait = flagged(flag);
      const all = await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const [how, code] = ends[i % ends.length] ?? ['', 0];
          const name = `end-${round}-${i}`;
          // the init of a pid namespace is spared its own signals: a child dies of them, and its status is passed on
          const script = `${wait}; echo last-${i}; echo err-${i} >&2; sh -c '${how}'; exit $?`;
          return { name, code, i, pid: await runDetached(name, script) };
        }),
      );
      const victims = upperParts();
      hold(victims); // until they are killed
      const endedAt = await endsOf(
        all.map(({ pid }) => pid),
        () => raise(flag),
      );
      for (const pid of victims) process.kill(pid, 'SIGKILL');
      await until(async () => {
        const { code, stdout } = await engine.docker(['ps', '-q']);
        return code === 0 && stdout === '';
      });
      for (const { name, code, i } of all) {
        const state = await engine.mustDocker([
          'inspect',
          '-f',
          '{{.State.Status}} {{.State.ExitCode}} {{.State.FinishedAt}}',
          name,
        ]);
        const [status, exitCode, finishedAt = ''] = state.trim().split(' ');
        expect([name, status, Number(exitCode)]).toEqual([name, 'exited', code]);
        // the time of the end, not that of the daemon's return
        const late = Math.abs(Date.parse(finishedAt) - (endedAt[i] ?? 0));
        expect(late, `${name} ended ${late} ms from when it is said to have ended`).toBeLessThan(50);
        const { stdout, stderr } = await engine.docker(['logs', name]);
        expect([stdout, stderr]).toEqual([`last-${i}\n`, expect.stringContaining(`err-${i}\n`)]);
      }
      await engine.mustDocker(['rm', ...all.map(({ name }) => name)], { timeoutMs: 60_000 });
    },
    inFull(300_000, 120_000),
  );
});

describe('while the shim answers nobody', () => {
  it('every call ends by its deadline, and kill reaches the container', async () => {
    const pid = await runDetached('stuck', 'sleep 1000');
    {
      using _held = hold(engine.shimPids());
      const calls = [
        ['inspect', 'stuck'],
        ['ps'],
        ['logs', 'stuck'],
        ['top', 'stuck'],
        ['exec', 'stuck', 'true'],
        ['stats', '--no-stream', 'stuck'],
        // a freeze may take as long as a disk: its deadline is half a minute
        ...inFull([['pause', 'stuck']], []),
      ];
      const started = performance.now();
      await Promise.all(calls.map((args) => engine.docker(args, { timeoutMs: 90_000 })));
      expect(performance.now() - started).toBeLessThan(inFull(60_000, 30_000));
      const killed = engine.docker(['kill', 'stuck'], { timeoutMs: 60_000 });
      await until(() => hasEnded(pid), 20_000);
      await killed;
    }
    await until(
      async () =>
        (await engine.docker(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'stuck'])).stdout ===
        'exited 137\n',
    );
    await engine.mustDocker(['rm', 'stuck']);
    expect((await engine.docker(['run', '--rm', '--network', 'none', 'busybox', 'echo', 'after'])).stdout).toBe(
      'after\n',
    );
  }, 180_000);
});

/** Says something again and again until there is such a file. */
const tickingUntil = (flag: string) => `while [ ! -e /h/${flag} ]; do echo tick; usleep 20000; done`;
/** Clients that have begun to read, and read no more. */
async function stoppedReaders(count: number, ...args: readonly string[]): Promise<readonly ChildProcess[]> {
  return await Promise.all(
    Array.from({ length: count }, async () => {
      const client = spawn('docker', ['-H', `unix://${engine.socket}`, ...args], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await once(client.stdout, 'readable');
      client.kill('SIGSTOP');
      return client;
    }),
  );
}

describe('readers of a log that read nothing', () => {
  it(
    'slow neither the container nor the engine',
    async () => {
      const [readers, lines] = [inFull(10, 3), inFull(500_000, 50_000)];
      const times: Record<'alone' | 'read', number[]> = { alone: [], read: [] };
      for (let round = 0; round < inFull(5, 1); round++) {
        for (const kind of ['alone', 'read'] as const) {
          const name = `${kind}${round}`;
          const pid = await runDetached(name, `echo first; ${flagged(name)}; ${numbers(lines)}`);
          const before = residentBytes(engine.pidOf('daemon'));
          const clients = await stoppedReaders(kind === 'read' ? readers : 0, 'logs', '-f', name);
          try {
            const started = performance.now();
            await endsOf([pid], () => raise(name));
            times[kind].push(performance.now() - started);
            const grown = residentBytes(engine.pidOf('daemon')) - before;
            expect(grown / readers).toBeLessThan(inFull(8, 30) * 1024 * 1024);
          } finally {
            for (const client of clients) client.kill('SIGKILL');
          }
          expect(await engine.mustDocker(['wait', name])).toBe('0\n');
          const last = `${String(lines).padStart(99, '0')}\n`;
          expect((await engine.docker(['logs', '--tail', '1', name])).stdout).toBe(last);
          await engine.mustDocker(['rm', name]);
        }
      }
      // what is written in a moment shows the machine's own unrest
      const [alone, read] = [median(times.alone), median(times.read)];
      expect(read, `took ${times.read} ms, and with no reader ${times.alone}`).toBeLessThan(
        inFull(alone / 0.9, alone * 3 + 500),
      );
    },
    inFull(300_000, 120_000),
  );

  it(
    'and are attached are cut when they have taken nothing for ten seconds; the log has everything',
    async () => {
      const [readers, lines] = [inFull(10, 2), inFull(500_000, 50_000)];
      const pid = await runDetached('attached', `${tickingUntil('attached')}; ${numbers(lines)}; exit 9`);
      const clients = await stoppedReaders(readers, 'attach', '--no-stdin', '--sig-proxy=false', 'attached');
      try {
        const started = performance.now();
        writeFileSync(host.path('shared/attached'), '');
        await until(() => hasEnded(pid), inFull(150_000, 60_000));
        // it was held back until they were cut: they had been attached
        expect(performance.now() - started).toBeGreaterThan(9_000);
      } finally {
        for (const client of clients) client.kill('SIGKILL');
      }
      expect(await engine.mustDocker(['wait', 'attached'])).toBe('9\n');
      const { stdout } = await engine.docker(['logs', 'attached'], { timeoutMs: 60_000 });
      expect(stdout.split('\n').filter((line) => line.length === 99).length).toBe(lines);
      await engine.mustDocker(['rm', 'attached']);
    },
    inFull(300_000, 120_000),
  );
});

describe('orphans in a container', () => {
  it.each([
    ['--init', 0],
    ['--init=false', 20],
  ])('with %s leave %i zombies there', async (init, zombies) => {
    await engine.mustDocker(['run', '-d', '--network', 'none', '--name', 'parent', init, 'busybox', 'sleep', '1000']);
    const pid = Number((await engine.mustDocker(['inspect', '-f', '{{.State.Pid}}', 'parent'])).trim());
    // each outlives its parent, and becomes the child of process 1
    const script = 'for i in $(seq 20); do (usleep 50000 & exec true) & done; wait';
    await engine.mustDocker(['exec', 'parent', 'sh', '-c', script]);
    const dead = () => childrenOf(pid).filter((child) => processStat(child)?.state === 'Z').length;
    // with --init its one child is the command
    await until(() => dead() === zombies && childrenOf(pid).length === Math.max(1, zombies));
    await engine.mustDocker(['rm', '-f', 'parent']);
  });
});

const median = (numbers: readonly number[]): number =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;
const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
