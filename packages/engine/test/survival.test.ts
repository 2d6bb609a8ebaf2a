/** Kill any part, and nothing of the user's is lost: no container, no log line, no exit code, no port. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { poll } from '@boxship/base';
import { describe, expect, it } from 'vitest';
import { leftCgroups, takeCensus } from './harness/census.ts';
import { engineForFile } from './harness/engine-for-file.ts';
import { processesWith } from './harness/engine-under-test.ts';
import { probeName } from './harness/name-probe.ts';
import { accepts } from './harness/sandbox-host.ts';

const { host, engine } = await engineForFile();

const ticks = 300;
const script = `httpd -h /var/www; i=0; while [ $i -lt ${ticks} ]; do i=$((i+1)); echo tick $i; usleep 15000; done; exit`;

/** Line numbers that are missing, doubled or out of order in a log of ticks. */
function faults(log: string): string[] {
  return log
    .replaceAll('\r', '')
    .trimEnd()
    .split('\n')
    .filter((line, index) => line !== `tick ${index + 1}`);
}

/** True for the process that holds descriptors for a shim of the engine with that exec root. */
function keeps(pid: number, execRoot: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').includes(`BOXSHIP_KEEPER=${execRoot}`);
  } catch {
    return false; // ended since it was listed
  }
}

const kills: readonly (readonly [string, () => number[]])[] = [
  ['the daemon', () => [engine.pidOf('daemon')]],
  ['containerd', () => [engine.pidOf('containerd')]],
  ['the network process', () => [engine.pidOf('network')]],
  ['the shim', () => engine.shimPids()],
  ['containerd and the shim in the same instant', () => [engine.pidOf('containerd'), ...engine.shimPids()]],
];

describe.each(kills)('kill -9 of %s', (_name, pids) => {
  it('costs no container, log line, exit code or port', async () => {
    const before = takeCensus(host, engine);
    const names = ['t1', 't2', 't3', 't4'];
    const ids: string[] = [];
    for (const [index, name] of names.entries()) {
      const tty = name === 't4' ? ['-t'] : [];
      ids.push(
        (
          await engine.mustDocker([
            'run',
            '-d',
            ...tty,
            '--name',
            name,
            '-p',
            `${9000 + index}:80`,
            'busybox',
            'sh',
            '-c',
            `${script} ${40 + index}`,
          ])
        ).trim(),
      );
    }
    const state = async () =>
      await engine.mustDocker(['inspect', '-f', '{{.State.Pid}} {{.State.StartedAt}} {{.RestartCount}}', ...names]);
    const processes = await state();
    const victims = pids();
    expect(victims.length).toBeGreaterThan(0);
    for (const pid of victims) process.kill(pid, 'SIGKILL');
    const killedAt = performance.now();
    const isBack = await poll({ everyMs: 10, timeoutMs: 10_000 }, async () =>
      (await accepts(engine.socket)) && pids().length > 0 && !pids().some((pid) => pid === 0 || victims.includes(pid))
        ? true
        : undefined,
    );
    expect(isBack).toBe(true);
    expect(await engine.mustDocker(['exec', 't1', 'echo', 'ok'])).toBe('ok\n');
    // the command itself takes part of this time; the part was back before it
    expect(performance.now() - killedAt).toBeLessThan(5_000);
    expect(await state()).toBe(processes);
    expect(await host.must('curl', ['-s', 'http://127.0.0.1:9001/'])).toBe('hello-from-busybox\n');
    expect((await engine.docker(['run', '--rm', 'busybox', 'echo', 'new'])).stdout).toBe('new\n');
    expect(faults((await engine.docker(['logs', '-f', 't2'])).stdout)).toEqual([]);
    for (const [index, name] of names.entries()) {
      expect(await engine.mustDocker(['wait', name])).toBe(`${40 + index}\n`);
      expect(faults(await engine.mustDocker(['logs', name]))).toEqual([]);
    }
    await engine.mustDocker(['rm', '-v', ...names]);
    const after = await poll({ everyMs: 100, timeoutMs: 5_000 }, () => {
      const census = takeCensus(host, engine);
      return JSON.stringify(census) === JSON.stringify(before) ? census : undefined;
    });
    expect(after ?? takeCensus(host, engine)).toEqual(before);
    expect(leftCgroups(ids)).toEqual([]);
  }, 90_000);
});

describe.each(kills)('kill -9 of %s, asked for names a hundred times a second', (name, pids) => {
  it('costs no answer, or, where it is the resolver itself, those of less than a second', async () => {
    await engine.mustDocker(['network', 'create', 'names']);
    await engine.mustDocker(['run', '-d', '--name', 'db', '--network', 'names', 'busybox', 'sleep', '1000']);
    await engine.mustDocker(['run', '-d', '--name', 'web', '--network', 'names', 'busybox', 'sleep', '1000']);
    const field = async (format: string, of: string) => (await engine.mustDocker(['inspect', '-f', format, of])).trim();
    const address = await field('{{.NetworkSettings.Networks.names.IPAddress}}', 'db');
    const probe = probeName(Number(await field('{{.State.Pid}}', 'web')), 'db', address);
    const answersReach = async (count: number) =>
      expect(await poll({ everyMs: 20, timeoutMs: 20_000 }, () => probe.answers() >= count || undefined)).toBe(true);
    await answersReach(100);
    for (const pid of pids()) process.kill(pid, 'SIGKILL');
    await answersReach(200);
    // the container's own way: its resolv.conf, and a name that came up after the death
    await engine.mustDocker(['run', '-d', '--name', 'late', '--network', 'names', 'busybox', 'sleep', '1000']);
    expect((await engine.mustDocker(['exec', 'web', 'nslookup', 'late'])).toLowerCase()).toContain('name:\tlate');
    await answersReach(probe.answers() + 50);
    const { failures, longestGapMs } = await probe.stop();
    if (name === 'the network process') expect(longestGapMs).toBeLessThan(1000);
    else expect(failures).toBe(0);
    await engine.mustDocker(['rm', '-f', 'db', 'web', 'late']);
    await engine.mustDocker(['network', 'rm', 'names']);
  }, 60_000);
});

describe('kill -9 of every part at once', () => {
  it('costs no container and no log line', async () => {
    await engine.mustDocker(['run', '-d', '--name', 'all', '-p', '9010:80', 'busybox', 'sh', '-c', `${script} 33`]);
    const victims = [engine.pidOf('daemon'), engine.pidOf('network'), engine.pidOf('containerd'), ...engine.shimPids()];
    for (const pid of victims) process.kill(pid, 'SIGKILL');
    const isBack = await poll({ everyMs: 50, timeoutMs: 15_000 }, async () =>
      (await engine.docker(['exec', 'all', 'true'])).code === 0 ? true : undefined,
    );
    expect(isBack).toBe(true);
    expect(await host.must('curl', ['-s', 'http://127.0.0.1:9010/'])).toBe('hello-from-busybox\n');
    expect(await engine.mustDocker(['wait', 'all'])).toBe('33\n');
    expect(faults(await engine.mustDocker(['logs', 'all']))).toEqual([]);
    await engine.mustDocker(['rm', 'all']);
  }, 60_000);
});

describe('a container that ends while the daemon is down', () => {
  it('keeps its exit code and its last lines', async () => {
    await engine.mustDocker([
      'run',
      '-d',
      '--name',
      'late',
      'busybox',
      'sh',
      '-c',
      'sleep 0.3; echo last-line; echo last-err >&2; exit 42',
    ]);
    process.kill(engine.pidOf('daemon'), 'SIGKILL');
    process.kill(engine.pidOf('containerd'), 'SIGKILL');
    const code = await poll({ everyMs: 100, timeoutMs: 15_000 }, async () => {
      const { stdout } = await engine.docker(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'late']);
      return stdout.startsWith('exited') ? stdout : undefined;
    });
    expect(code).toBe('exited 42\n');
    const { stdout, stderr } = await engine.docker(['logs', 'late']);
    expect([stdout, stderr]).toEqual(['last-line\n', 'last-err\n']);
    await engine.mustDocker(['rm', 'late']);
  }, 30_000);
});

describe.each([
  ['no shim runs', () => engine.shimPids()],
  ['neither containerd nor a shim runs', () => [engine.pidOf('containerd'), ...engine.shimPids()]],
] as const)('a container that ends while %s', (_name, victims) => {
  it('keeps its exit code and its last lines', async () => {
    const flag = host.path('go');
    rmSync(flag, { force: true });
    const wait = 'while [ ! -e /h/go ]; do usleep 1000; done';
    await engine.mustDocker([
      'run',
      '-d',
      '--name',
      'gap',
      '-v',
      `${host.directory}:/h`,
      'busybox',
      'sh',
      '-c',
      `${wait}; echo last-line; echo last-err >&2; exit 42`,
    ]);
    // the shim's keeper follows a change by a fraction of a second
    const isKept = () => processesWith('sleep').some(({ pid }) => keeps(pid, engine.execRoot)) || undefined;
    expect(await poll({ everyMs: 10, timeoutMs: 5_000 }, isKept)).toBe(true);
    for (const pid of victims()) process.kill(pid, 'SIGKILL');
    writeFileSync(flag, '');
    const code = await poll({ everyMs: 100, timeoutMs: 15_000 }, async () => {
      const { stdout } = await engine.docker(['inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'gap']);
      return stdout.startsWith('exited') ? stdout : undefined;
    });
    expect(code).toBe('exited 42\n');
    const { stdout, stderr } = await engine.docker(['logs', 'gap']);
    expect([stdout, stderr]).toEqual(['last-line\n', 'last-err\n']);
    await engine.mustDocker(['rm', 'gap']);
  }, 30_000);
});
