/** One network of two engines that meet in Debian's etcd, by the real docker CLI on each. */
import { poll } from '@boxship/base';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type EngineUnderTest, importBusybox, startEngineUnderTest } from '../harness/engine-under-test.ts';
import { endChild, SandboxHost } from '../harness/sandbox-host.ts';

const etcd = 'http://10.98.0.1:2379';
let hosts: [SandboxHost, SandboxHost];
let engines: [EngineUnderTest, EngineUnderTest];

beforeAll(async () => {
  const [a, b] = [new SandboxHost(), new SandboxHost()];
  hosts = [a, b];
  await a.must('ip', ['link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan0', 'netns', b.name]);
  for (const [index, host] of hosts.entries()) {
    await host.must('ip', ['address', 'add', `10.98.0.${index + 1}/24`, 'dev', 'lan0']);
    await host.must('ip', ['link', 'set', 'lan0', 'up']);
  }
  const child = a.start('etcd', 'etcd', [
    ...['--data-dir', a.path('etcd'), '--listen-client-urls', etcd, '--advertise-client-urls', etcd],
    ...['--listen-peer-urls', 'http://127.0.0.1:2380', '--initial-advertise-peer-urls', 'http://127.0.0.1:2380'],
    ...['--initial-cluster', 'default=http://127.0.0.1:2380'],
  ]);
  a.onDispose(() => endChild(child));
  const args = ['--cluster-store', etcd.replace('http', 'etcd'), '--cluster-advertise', 'lan0'];
  engines = [await startEngineUnderTest(a, { args }), await startEngineUnderTest(b, { args })];
  await Promise.all([importBusybox(a, engines[0]), importBusybox(b, engines[1])]);
});
afterAll(async () => {
  for (const host of hosts.toReversed()) await host[Symbol.asyncDispose]();
});

it('docker network create -d overlay: containers of both hosts find each other by name; nothing of it stays', async () => {
  const [first, second] = engines;
  await first.mustDocker(['network', 'create', '-d', 'overlay', '--attachable', '--subnet', '10.60.0.0/24', 'app']);
  const list = (engine: EngineUnderTest): Promise<string> =>
    engine.mustDocker(['network', 'ls', '--filter', 'driver=overlay', '--format', '{{.Name}} {{.Scope}}']);
  const isThere = await poll({ everyMs: 50, timeoutMs: 10_000 }, async () => (await list(second)) || undefined);
  expect([isThere, await list(first)]).toEqual(['app global\n', 'app global\n']);
  const serve = 'echo served > /index.html; exec httpd -f -h /';
  await first.mustDocker(['run', '-d', '--name', 'web', '--network', 'app', 'busybox', 'sh', '-c', serve]);
  const ask = ['run', '--rm', '--network', 'app', 'busybox'];
  const found = await poll(
    { everyMs: 100, timeoutMs: 15_000 },
    async () => (await second.docker([...ask, 'ping', '-c', '1', '-W', '2', 'web'])).stdout || undefined,
  );
  expect(found).toContain('64 bytes from 10.60.0.2');
  const get = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 10.60.0.2 80";
  expect(await second.mustDocker([...ask, 'sh', '-c', get])).toContain('served');

  // the address of one is the other's to choose no more
  const taken = await second.docker(['run', '--rm', '--network', 'app', '--ip', '10.60.0.2', 'busybox', 'true']);
  expect([taken.code, taken.stderr]).toEqual([125, expect.stringContaining('Address already in use')]);
  const encrypted = await first.docker(['network', 'create', '-d', 'overlay', '--opt', 'encrypted', 'secret']);
  expect([encrypted.code, encrypted.stderr]).toEqual([1, expect.stringContaining('ESP')]);
  expect((await second.docker(['network', 'rm', 'app'])).stderr).toContain('has active endpoints');

  await first.mustDocker(['rm', '-f', 'web']);
  await second.mustDocker(['network', 'rm', 'app']);
  for (const [index, engine] of engines.entries()) {
    const isGone = await poll({ everyMs: 50, timeoutMs: 10_000 }, async () => (await list(engine)) === '' || undefined);
    expect(isGone).toBe(true);
    expect(await hosts[index]?.must('ip', ['-br', 'link'])).not.toMatch(/^(vx-|br-)/m);
  }
});
