/** Networks of the driver `cni`: Debian's plugins under our controller, and our own plugin under another of ours. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll, randomId } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PortRequest, Sandbox } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { addressOf, refusal } from '../src/testsuite/suite.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

/** A loaded machine may need more than one try. */
const reaches = (from: string, address: string): Promise<true | undefined> =>
  poll({ everyMs: 50, timeoutMs: 5000 }, async () => (await host.canPing(from, address)) || undefined);

const debian = '/usr/lib/cni';
let host: TestHost;
let networkd: TestNetworkd;
beforeEach(() => {
  host = new TestHost();
  networkd = new TestNetworkd(host, 'one');
  networkd.start();
});
afterEach(async () => {
  networkd[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

function configuration(plugins: readonly object[]): string {
  const path = join(host.directory, 'net.conflist');
  writeFileSync(path, JSON.stringify({ cniVersion: '1.0.0', name: 'pods', plugins }));
  return path;
}

const bridge = () => ({
  type: 'bridge',
  bridge: 'cni7',
  isGateway: true,
  ipMasq: true,
  ipam: {
    type: 'host-local',
    dataDir: join(host.directory, 'host-local'),
    ranges: [[{ subnet: '10.81.0.0/24' }]],
    routes: [{ dst: '0.0.0.0/0' }],
  },
});
const create = (plugins: readonly object[]) =>
  networkd.controller.createNetwork({
    name: 'pods',
    driver: 'cni',
    options: { 'cni.conf': configuration(plugins), 'cni.path': debian },
  });
const sandbox = (name: string, network = 'pods', ports: readonly PortRequest[] = []): Promise<Sandbox> =>
  networkd.controller.createSandbox({
    id: randomId(),
    containerName: name,
    hostname: name,
    domainname: '',
    endpoints: [{ network }],
    ports,
  });

describe.skipIf(!existsSync(`${debian}/bridge`))("Debian's plugins", () => {
  test('bridge and tuning in a chain: addresses by host-local, names by us; nothing is left', async () => {
    const network = await create([bridge(), { type: 'tuning', sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' } }]);
    expect(network.spec.pools).toEqual([]);
    const [a, b] = [await sandbox('a'), await sandbox('b')];
    expect([addressOf(a), addressOf(b)]).toEqual(['10.81.0.2', '10.81.0.3']);
    expect(a.endpoints[0]).toMatchObject({ ipv4PrefixLength: 24, ipv4Gateway: '10.81.0.1', interfaceName: 'eth0' });
    expect(await reaches(a.namespacePath, neighbourAddress)).toBe(true);
    expect(await host.run(a.namespacePath, 'cat', '/proc/sys/net/ipv4/conf/eth0/log_martians')).toBe('1');
    expect(await host.run(a.namespacePath, 'busybox', 'nslookup', 'b', '127.0.0.11')).toContain('10.81.0.3');
    const link = await host.run(a.namespacePath, 'ip', '-br', 'link', 'show', 'eth0');
    expect(link).toContain(a.endpoints[0]?.macAddress);
    for (const { id } of [a, b]) await networkd.controller.removeSandbox(id);
    const leases = await host.run(host.namespace, 'ls', join(host.directory, 'host-local', 'pods'));
    expect(leases).not.toContain('10.81.0.2');
    await networkd.controller.removeNetwork('pods');
  });

  test('a container lives through the death of networkd and is taken out by its successor', async () => {
    await create([bridge()]);
    const a = await sandbox('a');
    await networkd.kill();
    networkd.start();
    expect(await networkd.controller.listSandboxes()).toEqual([a]);
    expect(await reaches(a.namespacePath, '10.81.0.1')).toBe(true);
    await networkd.controller.removeSandbox(a.id);
    expect(addressOf(await sandbox('b'))).toBe('10.81.0.3');
    const leases = await host.run(host.namespace, 'ls', join(host.directory, 'host-local', 'pods'));
    expect(leases).not.toContain('10.81.0.2');
  });

  test('joined and parted while the container lives', async () => {
    await create([bridge()]);
    const a = await sandbox('a', 'bridge');
    const endpoint = await networkd.controller.connect(a.id, { network: 'pods' });
    expect(endpoint).toMatchObject({ ipv4Address: '10.81.0.2', interfaceName: 'eth1' });
    expect(await reaches(a.namespacePath, '10.81.0.1')).toBe(true);
    await networkd.controller.disconnect(a.id, 'pods');
    expect(await host.run(a.namespacePath, 'ip', '-br', 'link')).not.toContain('eth1');
  });

  test('ports are published by us, on networks joined later and by the successor, too', async () => {
    await create([bridge()]);
    const port = (hostPort: number) => ({ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort }) as const;
    const a = await sandbox('a', 'pods', [port(8080)]);
    expect(a.ports.map(({ hostIp, hostPort }) => `${hostIp} ${hostPort}`)).toEqual(['0.0.0.0 8080', ':: 8080']);
    host.serve(a.namespacePath, 80);
    const ask = async (hostPort: number): Promise<(string | undefined)[]> => [
      await host.ask(host.namespace, '127.0.0.1', hostPort),
      await host.ask(host.neighbour, hostAddress, hostPort),
    ];
    expect(await ask(8080)).toEqual(['from 10.81.0.1', 'from 10.81.0.1']);
    await networkd.controller.publish(a.id, [port(8081)]);
    expect(await ask(8081)).toEqual(['from 10.81.0.1', 'from 10.81.0.1']);
    await networkd.kill();
    networkd.start();
    expect((await networkd.controller.sandbox(a.id)).ports).toHaveLength(4);
    expect(await ask(8080)).toEqual(['from 10.81.0.1', 'from 10.81.0.1']);
    expect((await refusal(sandbox('late', 'pods', [port(8080)]))).message).toContain('port is already allocated');
    const leases = await host.run(host.namespace, 'ls', join(host.directory, 'host-local', 'pods'));
    expect(leases).not.toContain('10.81.0.3');

    // from a bridge of ours to the plugin's and back: the ports go along
    const b = await sandbox('b', 'bridge', [port(8082)]);
    host.serve(b.namespacePath, 80);
    const known = await host.ask(host.neighbour, hostAddress, 8082);
    expect(known).toBe(`from ${neighbourAddress}`);
    await networkd.controller.connect(b.id, { network: 'pods', gatewayPriority: 1 });
    expect(await ask(8082)).toEqual(['from 10.81.0.1', 'from 10.81.0.1']);
    await networkd.controller.disconnect(b.id, 'pods');
    expect(await host.ask(host.neighbour, hostAddress, 8082)).toBe(known);
    await networkd.controller.removeSandbox(a.id);
    expect(await ask(8080)).toEqual([undefined, undefined]);
  });

  test('a plugin that fails is quoted, and what came before it is taken back', async () => {
    await create([bridge(), { type: 'vrf' }]);
    const error = await refusal(sandbox('a'));
    expect(error.message).toContain('plugin type="vrf" failed (add)');
    const leases = await host.run(host.namespace, 'ls', join(host.directory, 'host-local', 'pods'));
    expect(leases).not.toContain('10.81.0.2');
    expect(await networkd.controller.listSandboxes()).toEqual([]);
  });
});

test('what is no configuration is refused with the reason', async () => {
  const of = (options: Record<string, string>) =>
    refusal(networkd.controller.createNetwork({ name: 'x', driver: 'cni', options }));
  expect((await of({})).message).toBe('a cni network needs the option cni.conf=PATH');
  expect((await of({ 'cni.conf': 'relative' })).message).toContain('an absolute path is needed');
  expect((await of({ 'cni.conf': '/nosuch' })).message).toContain('cannot be read: ENOENT');
  expect((await of({ 'cni.conflist': '{' })).message).toContain('no JSON');
  expect((await of({ 'cni.conflist': '{"name":"x","plugins":[{"type":"../sh"}]}' })).message).toContain(
    'plugins[0].type',
  );
  expect((await of({ 'cni.conflist': '{"name":"x","type":"nosuch"}' })).message).toMatch(
    /failed to find plugin "nosuch" in path/,
  );
});
