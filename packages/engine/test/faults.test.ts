/** What hangs, and what is down, stays its own trouble: containers write, end and are killed all the same. */
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { poll } from '@boxship/base';
import { processStat } from '@boxship/linux';
import { describe, expect, it } from 'vitest';
import { inFull } from '../../tooling/full.ts';
import { engineForFile } from './harness/engine-for-file.ts';

const { host, engine } = await engineForFile();
mkdirSync(host.path('shared'));

const until = async (what: () => boolean | Promise<boolean>, timeoutMs = 30_000) =>
  expect(await poll({ everyMs: 20, timeoutMs }, async () => (await what()) || undefined), what.toString()).toBe(true);
const flagged = (flag: string) => `while [ ! -e /h/${flag} ]; do usleep 5000; done`;
const raise = (flag: string) => writeFileSync(host.path('shared', flag), '');
/** Lines of 100 bytes, counted. */
const numbers = (lines: number) => `awk 'BEGIN{for(i=1;i<=${lines};i++) printf "%099d\\n", i}'`;
const hasEnded = (pid: number) => ['Z', undefined].includes(processStat(pid)?.state);
const runDetached = async (name: string, script: string) => {
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
    'busybox',
    'sh',
    '-c',
    script,
  ]);
  return Number((await engine.mustDocker(['inspect', '-f', '{{.State.Pid}}', name])).trim());
};
/** SIGSTOP: they are down for all, and nobody starts them again. */
function hold(pids: readonly number[]): Disposable {
  for (const pid of pids) process.kill(pid, 'SIGSTOP');
  return {
    [Symbol.dispose]() {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    },
  };
}
const upperParts = () => [engine.pidOf('daemon'), engine.pidOf('containerd')];

describe('while daemon and containerd answer nobody', () => {
  const megabytes = inFull(100, 10);
  it(
    `a container prints ${megabytes} MB without waiting, and none of it is lost`,
    async () => {
      const lines = (megabytes * 1_000_000) / 100;
      const pid = await runDetached('burst', `${flagged('burst')}; ${numbers(lines)}; exit 7`);
      {
        using _held = hold(upperParts());
        raise('burst');
        // it has written all of it before anybody is there to read
        await until(() => hasEnded(pid), inFull(120_000, 60_000));
      }
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
      const all = await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const [how, code] = ends[i % ends.length] ?? ['', 0];
          const name = `end-${round}-${i}`;
          // the init of a pid namespace is spared its own signals: a child dies of them, and its status is passed on
          const script = `${flagged('end')}; echo last-${i}; echo err-${i} >&2; sh -c '${how}'; exit $?`;
          return { name, code, i, pid: await runDetached(name, script) };
        }),
      );
      const victims = upperParts();
      hold(victims); // until they are killed
      raise('end');
      await until(() => all.every(({ pid }) => hasEnded(pid)));
      const endedAt = Date.now();
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
        expect(Date.parse(finishedAt)).toBeLessThanOrEqual(endedAt + 1_000);
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

describe('readers of a log that read nothing', () => {
  it(
    'slow neither the container nor the engine',
    async () => {
      const [readers, lines] = [inFull(10, 3), inFull(500_000, 50_000)];
      const pid = await runDetached('read', `${flagged('read')}; ${numbers(lines)}`);
      const before = residentBytes(engine.pidOf('daemon'));
      const clients = Array.from({ length: readers }, () =>
        spawn('docker', ['-H', `unix://${engine.socket}`, 'logs', '-f', 'read'], {
          stdio: ['ignore', 'pipe', 'ignore'],
        }),
      );
      try {
        for (const client of clients) client.kill('SIGSTOP');
        raise('read');
        await until(() => hasEnded(pid), inFull(120_000, 60_000));
        expect((residentBytes(engine.pidOf('daemon')) - before) / readers).toBeLessThan(inFull(8, 30) * 1024 * 1024);
      } finally {
        for (const client of clients) client.kill('SIGKILL');
      }
      expect((await engine.docker(['logs', '--tail', '1', 'read'])).stdout).toBe(
        `${String(lines).padStart(99, '0')}\n`,
      );
      await engine.mustDocker(['rm', 'read']);
    },
    inFull(300_000, 120_000),
  );
});

const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
