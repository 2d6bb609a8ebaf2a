/** The settings of the default bridge: what they make, when they change, and a bridge that the user brought. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomId } from '@boxship/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Sandbox, SandboxSpec } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

let host: TestHost;
let networkd: TestNetworkd;
beforeEach(() => {
  host = new TestHost();
  networkd = new TestNetworkd(host, 'one');
});
afterEach(async () => {
  networkd[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

async function sandbox(name: string, spec: Partial<SandboxSpec> = {}): Promise<Sandbox> {
  const id = randomId();
  const directory = join(host.directory, 'files', id);
  mkdirSync(directory, { recursive: true });
  return await networkd.controller.createSandbox({
    id,
    containerName: name,
    hostname: name,
    domainname: '',
    files: { hostsPath: join(directory, 'hosts'), resolvConfPath: join(directory, 'resolv.conf') },
    endpoints: [{ network: 'bridge' }],
    ...spec,
  });
}

const start = (...flags: readonly string[]): void => networkd.start(undefined, flags);

test('addresses, gateways, host binding, isolation and MTU as configured', async () => {
  start(
    ...['--bip=10.20.0.1/16', '--fixed-cidr=10.20.7.0/24', '--default-gateway=10.20.0.9', '--mtu=1400', '--icc=false'],
    ...['--ipv6=true', '--fixed-cidr-v6=fd00:20::/64', '--default-gateway-v6=fd00:20::9', '--ip=127.0.0.1'],
    '--host-gateway-ip=10.1.1.1',
  );
  const { spec } = await networkd.controller.network('bridge');
  expect(spec.pools).toEqual([
    {
      subnet: '10.20.0.0/16',
      gateway: '10.20.0.1',
      ipRange: '10.20.7.0/24',
      auxAddresses: { DefaultGatewayIPv4: '10.20.0.9' },
    },
    { subnet: 'fd00:20::/64', gateway: 'fd00:20::1', auxAddresses: { DefaultGatewayIPv6: 'fd00:20::9' } },
  ]);
  expect(spec).toMatchObject({ enableIPv6: true });
  expect(spec.options).toMatchObject({
    'com.docker.network.bridge.enable_icc': 'false',
    'com.docker.network.bridge.host_binding_ipv4': '127.0.0.1',
    'com.docker.network.driver.mtu': '1400',
  });
  const a = await sandbox('a', {
    ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 }],
    extraHosts: ['me:host-gateway'],
  });
  expect(a.endpoints[0]).toMatchObject({
    ipv4Address: '10.20.7.0',
    ipv4PrefixLength: 16,
    ipv4Gateway: '10.20.0.9',
    ipv6Address: 'fd00:20::2',
    ipv6Gateway: 'fd00:20::9',
  });
  expect(a.ports).toEqual([{ protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8080 }]);
  expect(readFileSync(a.spec.files?.hostsPath ?? '', 'utf8')).toContain('10.1.1.1\tme\n');
  const routes = await host.run(a.namespacePath, 'ip', 'route');
  expect(routes).toContain('default via 10.20.0.9 dev eth0');
  expect(await host.run(a.namespacePath, 'ip', '-6', 'route')).toContain('default via fd00:20::9 dev eth0');
  expect(await host.run(a.namespacePath, 'ip', 'link', 'show', 'eth0')).toContain('mtu 1400');
  expect(await host.run(host.namespace, 'ip', 'link', 'show', 'boxship0')).toContain('mtu 1400');
  expect(await host.run(host.namespace, 'cat', '/proc/sys/net/ipv6/conf/all/forwarding')).toBe('1');
  const b = await sandbox('b');
  expect(await host.canPing(b.namespacePath, a.endpoints[0]?.ipv4Address ?? '')).toBe(false);
  expect(await host.canPing(b.namespacePath, '10.20.0.1')).toBe(true);
});

test('changed settings wait until no container uses the bridge', async () => {
  start();
  const web = await sandbox('web');
  const before = await networkd.controller.network('bridge');
  await networkd.kill();
  start('--fixed-cidr=10.21.0.0/24');
  expect(await networkd.controller.network('bridge')).toEqual(before);
  expect(networkd.log).toContain('new settings of the default bridge wait');
  await networkd.controller.removeSandbox(web.id);
  await networkd.kill();
  start('--fixed-cidr=10.21.0.0/24');
  const after = await networkd.controller.network('bridge');
  expect(after.spec.pools).toEqual([{ subnet: '10.21.0.0/24', gateway: '10.21.0.1', ipRange: '10.21.0.0/24' }]);
  await networkd.kill();
  start('--fixed-cidr=10.21.0.0/24');
  expect((await networkd.controller.network('bridge')).id).toBe(after.id);
});

test('none at all', async () => {
  start('--bridge=none');
  expect((await networkd.controller.listNetworks()).map(({ spec }) => spec.name).sort()).toEqual(['host', 'none']);
  expect(await host.run(host.namespace, 'ip', '-br', 'link')).not.toContain('boxship');
});

test('a bridge of the user, with its address', async () => {
  await host.run(host.namespace, 'ip', 'link', 'add', 'mybr', 'type', 'bridge');
  await host.run(host.namespace, 'ip', 'addr', 'add', '10.22.0.5/24', 'dev', 'mybr');
  start('--bridge=mybr', '--ip-masq=false');
  const web = await sandbox('web');
  expect(web.endpoints[0]).toMatchObject({ ipv4Gateway: '10.22.0.5', ipv4PrefixLength: 24 });
  expect(await host.canPing(web.namespacePath, '10.22.0.5')).toBe(true);
  // nobody outside knows the way back
  expect(await host.canPing(web.namespacePath, neighbourAddress)).toBe(true); // the neighbour's default route is this host
  host.serve(host.neighbour, 9000);
  expect(await host.ask(web.namespacePath, neighbourAddress, 9000)).toBe(`from ${web.endpoints[0]?.ipv4Address}`);
  await networkd.controller.removeSandbox(web.id);
  await networkd.kill();
  start('--purge', '--bridge=mybr', '--ip-masq=false');
  expect(await networkd.ended()).toBe(0);
  expect(await host.run(host.namespace, 'ip', '-br', 'link')).toContain('mybr');
});

test('forwarding is the host’s affair when it shall be', async () => {
  await host.run(host.namespace, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward');
  start('--ip-forward=false');
  await networkd.controller.listNetworks();
  expect(await host.run(host.namespace, 'cat', '/proc/sys/net/ipv4/ip_forward')).toBe('0');
});

test.each([
  [['--default-gateway=10.9.9.9', '--bip=10.20.0.1/16'], '--default-gateway 10.9.9.9 is not in 10.20.0.1/16'],
  [['--bip=10.20.0.1'], 'invalid CIDR address: 10.20.0.1'],
])('%j ends with an error', async (flags, text) => {
  start(...flags);
  expect(await networkd.ended()).toBe(1);
  expect(networkd.log).toContain(text);
});
