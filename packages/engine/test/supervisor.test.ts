/** The supervisor: its own death, parts that die again and again, engines side by side. */

import { writeFileSync } from 'node:fs';
import { poll } from '@boxship/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EngineUnderTest,
  importBusybox,
  processesWith,
  startEngineUnderTest,
} from './harness/engine-under-test.ts';
import { SandboxHost } from './harness/sandbox-host.ts';

describe('the supervisor', () => {
  let host: SandboxHost;
  let engine: EngineUnderTest;
  beforeAll(async () => {
    host = new SandboxHost();
    engine = await startEngineUnderTest(host);
    await importBusybox(host, engine);
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  it('may be killed: the engine goes on, and the next one takes over the same parts', async () => {
    await engine.mustDocker(['run', '-d', '--name', 'bystander', 'busybox', 'sleep', '1000']);
    const parts = (['daemon', 'containerd', 'network'] as const).map((part) => engine.pidOf(part));
    const [supervisor] = processesWith(`-H unix://${engine.socket} --data-root`).filter(
      ({ commandLine }) => commandLine.includes('engine.cjs') && !commandLine.startsWith('nsenter'),
    );
    process.kill(supervisor?.pid ?? 0, 'SIGKILL');
    await poll({ everyMs: 20, timeoutMs: 5_000 }, () =>
      processesWith(`-H unix://${engine.socket} --data-root`).some(({ pid }) => pid === supervisor?.pid)
        ? undefined
        : true,
    );
    expect(await engine.mustDocker(['exec', 'bystander', 'echo', 'still'])).toBe('still\n');
    const next = await startEngineUnderTest(host);
    expect((['daemon', 'containerd', 'network'] as const).map((part) => next.pidOf(part))).toEqual(parts);
    process.kill(next.pidOf('daemon'), 'SIGKILL');
    const isBack = await poll({ everyMs: 20, timeoutMs: 5_000 }, async () =>
      (await next.docker(['exec', 'bystander', 'true'])).code === 0 ? true : undefined,
    );
    expect(isBack).toBe(true);
    await next.mustDocker(['rm', '-f', 'bystander']);
  });

  it('refuses a second one for the same roots', async () => {
    await expect(startEngineUnderTest(host)).rejects.toThrow('another boxship-engine runs');
  });
});

describe('two engines', () => {
  it('live side by side on one machine, each with its own containers, networks and ports', async () => {
    await using one = new SandboxHost();
    await using two = new SandboxHost();
    const engines = [await startEngineUnderTest(one), await startEngineUnderTest(two)] as const;
    for (const [index, host] of [one, two].entries()) {
      const engine = engines[index] as EngineUnderTest;
      await importBusybox(host, engine);
      await engine.mustDocker([
        'run',
        '-d',
        '--name',
        'same',
        '-p',
        '8080:80',
        'busybox',
        'sh',
        '-c',
        `echo engine-${index} > /var/www/index.html; exec httpd -f -h /var/www`,
      ]);
    }
    for (const [index, host] of [one, two].entries())
      expect(await host.must('curl', ['-s', '--retry', '5', '--retry-connrefused', 'http://127.0.0.1:8080/'])).toBe(
        `engine-${index}\n`,
      );
    await engines[0].mustDocker(['rm', '-f', 'same']);
    expect(await engines[1].mustDocker(['exec', 'same', 'echo', 'alive'])).toBe('alive\n');
  });
});

describe('settings in daemon.json', () => {
  it('have the same meaning as flags, for every part', async () => {
    await using host = new SandboxHost();
    const settings = host.path('daemon.json');
    writeFileSync(
      settings,
      JSON.stringify({ bip: '10.88.7.1/24', labels: ['a=b'], 'log-opts': { 'max-size': '1000000' } }),
    );
    const engine = await startEngineUnderTest(host, { args: ['--config-file', settings] });
    await importBusybox(host, engine);
    expect(await engine.mustDocker(['network', 'inspect', '-f', '{{(index .IPAM.Config 0).Gateway}}', 'bridge'])).toBe(
      '10.88.7.1\n',
    );
    expect(await engine.mustDocker(['info', '-f', '{{.Labels}}'])).toBe('[a=b]\n');
    expect(await engine.mustDocker(['run', '--rm', 'busybox', 'ip', 'route'])).toContain('default via 10.88.7.1');
    await expect(
      startEngineUnderTest(host, { name: 'twice', args: ['--config-file', settings, '--label', 'c=d'] }),
    ).rejects.toThrow('specified both as a flag and in the configuration file');
  });
});
