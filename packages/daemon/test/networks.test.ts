/** Containers on networks: the daemon together with the network service, over the docker CLI. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { connectController } from '@boxship/network';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing, startEngine, type TestEngine } from './harness.ts';

const reason = missing('docker');

describe.skipIf(reason !== undefined)('networks', () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startEngine({ hasNetwork: true });
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });
  const inspect = async (format: string, name: string) =>
    (await engine.docker('inspect', '-f', format, name)).stdout.trim();

  it('gives an address, names and a resolver', async () => {
    const { stdout } = await engine.docker(
      'run',
      '--rm',
      '--hostname',
      'me',
      '--add-host',
      'z:1.2.3.4',
      '--dns',
      '9.9.9.9',
      'busybox',
      'sh',
      '-c',
      'ip -4 addr show eth0 | grep -o "inet [0-9.]*"; cat /etc/hosts /etc/resolv.conf /etc/hostname',
    );
    expect(stdout).toMatch(/^inet 172\.\d+\.\d+\.\d+\n127\.0\.0\.1\tlocalhost\n/);
    expect(stdout).toContain('1.2.3.4\tz\n');
    expect(stdout).toMatch(/172\.\d+\.\d+\.\d+\tme\n/);
    expect(stdout).toMatch(/nameserver 9\.9\.9\.9\nme\n$/);
  });

  it('publishes ports, tells them, and says when one is taken', async () => {
    const { docker } = engine;
    await docker(
      'run',
      '-d',
      '--name',
      'web',
      '-p',
      '127.0.0.1:18080:80',
      '--expose',
      '53/udp',
      'busybox',
      'sh',
      '-c',
      'echo hello > /index.html; exec httpd -f -p 80 -h /',
    );
    expect((await docker('port', 'web')).stdout).toBe('80/tcp -> 127.0.0.1:18080\n');
    expect((await docker('ps', '--format', '{{.Ports}}')).stdout).toBe('53/udp, 127.0.0.1:18080->80/tcp\n');
    await expect
      .poll(() => engine.inHost('wget', '-q', '-O', '-', 'http://127.0.0.1:18080/'), { timeout: 10_000 })
      .toBe('hello\n');
    const taken = await docker('run', '--rm', '-p', '127.0.0.1:18080:80', 'busybox', 'true');
    expect([taken.code, taken.stderr]).toEqual([
      125,
      expect.stringContaining('Bind for 127.0.0.1:18080 failed: port is already allocated'),
    ]);
    expect(await inspect('{{json .NetworkSettings.Ports}}', 'web')).toBe(
      '{"53/udp":null,"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"18080"}]}',
    );
    await docker('stop', '-t', '0', 'web');
    expect(await inspect('{{json .NetworkSettings.Ports}}', 'web')).toBe('{}');
    expect((await docker('run', '--rm', '-p', '127.0.0.1:18080:80', 'busybox', 'true')).code).toBe(0);
    await docker('rm', 'web');
  });

  it('makes networks, connects, disconnects and shares', async () => {
    const { docker } = engine;
    expect((await docker('network', 'create', '--subnet', '10.77.0.0/24', '--label', 'a=b', 'lan')).stdout).toMatch(
      /^[0-9a-f]{64}\n$/,
    );
    await docker(
      'run',
      '-d',
      '--name',
      'one',
      '--network',
      'lan',
      '--ip',
      '10.77.0.50',
      '--network-alias',
      'uno',
      'busybox',
      'sleep',
      '1000',
    );
    expect(await inspect('{{.NetworkSettings.Networks.lan.IPAddress}}', 'one')).toBe('10.77.0.50');
    await docker('run', '-d', '--name', 'two', 'busybox', 'sleep', '1000');
    expect((await docker('network', 'connect', 'lan', 'two')).code).toBe(0);
    expect((await docker('exec', 'two', 'ping', '-c1', '-W2', '10.77.0.50')).code).toBe(0);
    const members = JSON.parse(
      (await docker('network', 'inspect', '-f', '{{json .Containers}}', 'lan')).stdout,
    ) as Record<string, { Name: string }>;
    expect(
      Object.values(members)
        .map(({ Name }) => Name)
        .sort(),
    ).toEqual(['one', 'two']);
    expect((await docker('network', 'rm', 'lan')).stderr).toContain('has active endpoints');
    await docker('network', 'disconnect', 'lan', 'two');
    expect((await docker('exec', 'two', 'ip', 'link', 'show', 'eth1')).code).not.toBe(0);
    expect((await docker('run', '--rm', '--network', 'container:one', 'busybox', 'hostname')).stdout).toBe(
      await inspect('{{.Config.Hostname}}\n', 'one').then((text) => `${text}\n`),
    );
    await docker('rm', '-f', 'one', 'two');
    expect((await docker('network', 'rm', 'lan')).code).toBe(0);
    expect((await docker('network', 'rm', 'bridge')).stderr).toContain(
      'bridge is a pre-defined network and cannot be removed',
    );
    expect((await docker('network', 'inspect', 'nosuch')).stderr).toContain('network nosuch not found');
  });

  it('keeps what was connected before the start', async () => {
    const { docker } = engine;
    await docker('network', 'create', 'early');
    await docker('create', '--name', 'later', 'busybox', 'sleep', '1000');
    await docker('network', 'disconnect', 'bridge', 'later');
    await docker('network', 'connect', '--alias', 'al', 'early', 'later');
    await docker('start', 'later');
    expect(await inspect('{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}', 'later')).toBe('early');
    expect(await inspect('{{.NetworkSettings.Networks.early.Aliases}}', 'later')).toContain('al');
    await docker('rm', '-f', 'later');
    await docker('network', 'rm', 'early');
  });

  it.each(['start.recorded', 'start.task-created', 'start.task-started'])(
    'leaves no sandbox behind when killed at %s',
    async (point) => {
      const { containers } = engine.client;
      await engine.killDaemon();
      await engine.startDaemon({ BOXSHIP_TEST: '1', BOXSHIP_FP: `${point}=kill` });
      const { Id } = await containers.create({ Image: 'busybox', Cmd: ['sleep', '1000'] }, { name: 'victim' });
      await expect(containers.start(Id)).rejects.toThrow();
      await engine.daemonEnded();
      await engine.startDaemon();
      const { State, NetworkSettings } = await containers.inspect('victim');
      const isRunning = point === 'start.task-started';
      expect([State.Running, NetworkSettings.IPAddress !== '']).toEqual([isRunning, isRunning]);
      await using network = connectController(join(engine.directory, 'network.sock'));
      expect((await network.listSandboxes()).map(({ id }) => id)).toEqual(isRunning ? [Id] : []);
      await containers.remove('victim', { force: true });
      expect(await network.listSandboxes()).toEqual([]);
    },
  );

  it('keeps address and port over a kill of the daemon', async () => {
    const { docker } = engine;
    await docker(
      'run',
      '-d',
      '--name',
      'stays',
      '-p',
      '127.0.0.1:18081:80',
      'busybox',
      'sh',
      '-c',
      'echo hello > /index.html; exec httpd -f -p 80 -h /',
    );
    const before = await inspect('{{json .NetworkSettings}}', 'stays');
    await engine.killDaemon();
    expect(
      execFileSync('nsenter', [
        `--net=/run/netns/${engine.netns}`,
        'wget',
        '-q',
        '-O',
        '-',
        'http://127.0.0.1:18081/',
      ]).toString(),
    ).toBe('hello\n');
    await engine.startDaemon();
    expect(await inspect('{{json .NetworkSettings}}', 'stays')).toBe(before);
    await docker('rm', '-f', 'stays');
  });
});
