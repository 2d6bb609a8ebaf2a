/** Networks of other drivers than bridge, by the real docker CLI on our engine. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EngineUnderTest, importBusybox, startEngineUnderTest } from '../harness/engine-under-test.ts';
import { SandboxHost } from '../harness/sandbox-host.ts';

let host: SandboxHost;
let engine: EngineUnderTest;

beforeAll(async () => {
  host = new SandboxHost();
  // the other end of the pair is the LAN
  await host.must('ip', ['link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan1']);
  for (const name of ['lan0', 'lan1']) await host.must('ip', ['link', 'set', name, 'up']);
  engine = await startEngineUnderTest(host);
  await importBusybox(host, engine);
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

describe('docker network create', () => {
  it('-d macvlan: containers on a parent of the host', async () => {
    const args = ['-d', 'macvlan', '-o', 'parent=lan0', '--subnet', '10.70.0.0/24', '--gateway', '10.70.0.1'];
    await engine.mustDocker(['network', 'create', ...args, 'lan']);
    await engine.mustDocker([
      'run',
      '-d',
      '--name',
      'first',
      '--network',
      'lan',
      '--ip',
      '10.70.0.9',
      'busybox',
      'sleep',
      '60',
    ]);
    const { stdout } = await engine.docker(['run', '--rm', '--network', 'lan', 'busybox', 'ping', '-c', '1', 'first']);
    expect(stdout).toContain('64 bytes from 10.70.0.9');
    const shown = JSON.parse(await engine.mustDocker(['network', 'inspect', 'lan']));
    expect(shown[0]).toMatchObject({ Driver: 'macvlan', Options: { parent: 'lan0' } });
    await engine.mustDocker(['rm', '-f', 'first']);
    await engine.mustDocker(['network', 'rm', 'lan']);
  });

  it('says what it cannot do as dockerd says it', async () => {
    const { code, stderr } = await engine.docker(['network', 'create', '-d', 'macvlan', '-o', 'parent=nosuch', 'x']);
    expect([code, stderr]).toEqual([1, expect.stringContaining('the interface nosuch was not found on the host')]);
    expect((await engine.docker(['network', 'create', '-d', 'weave', 'x'])).stderr).toContain(
      'plugin "weave" not found',
    );
  });

  it('-o gateway_mode_ipv4=routed: a port is open at the container, and not listed as published', async () => {
    const mode = 'com.docker.network.bridge.gateway_mode_ipv4=routed';
    await engine.mustDocker(['network', 'create', '-o', mode, '--subnet', '10.71.0.0/24', 'routed']);
    const run = ['run', '-d', '--name', 'web', '--network', 'routed', '-p', '8080:80', 'busybox'];
    await engine.mustDocker([...run, 'sh', '-c', 'echo served > /index.html; exec httpd -f -h /']);
    expect(await engine.mustDocker(['ps', '--format', '{{.Ports}}'])).toBe('80/tcp\n');
    expect((await host.run('curl', ['-s', '--max-time', '5', 'http://10.71.0.2/'])).stdout).toBe('served\n');
    expect((await host.run('curl', ['-s', '--max-time', '2', 'http://127.0.0.1:8080/'])).code).not.toBe(0);
    await engine.mustDocker(['rm', '-f', 'web']);
  });
});
