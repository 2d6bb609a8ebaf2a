/** Networks of Docker's plugins: another networkd of ours serves as the plugin, which dockerd knows as one as well. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll, randomId } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PortRequest, Sandbox } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { addressOf, refusal } from '../src/testsuite/suite.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

let host: TestHost;
let networkd: TestNetworkd;
let plugin: TestNetworkd;
beforeEach(() => {
  host = new TestHost();
  const directory = join(host.directory, 'plugins');
  mkdirSync(directory);
  plugin = new TestNetworkd(host, 'plugin', ['--bridge', 'none', '--plugin-socket', join(directory, 'other.sock')]);
  networkd = new TestNetworkd(host, 'one', ['--plugin-path', directory]);
  plugin.start();
  networkd.start();
});
afterEach(async () => {
  for (const part of [networkd, plugin]) part[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

const sandbox = (name: string, network = 'app', ports: readonly PortRequest[] = []): Promise<Sandbox> =>
  networkd.controller.createSandbox({
    id: randomId(),
    containerName: name,
    hostname: name,
    domainname: '',
    endpoints: [{ network }],
    ports,
  });
/** A loaded machine may need more than one try. */
const reaches = (from: string, address: string): Promise<true | undefined> =>
  poll({ everyMs: 50, timeoutMs: 5000 }, async () => (await host.canPing(from, address)) || undefined);
const create = async (options: Record<string, string> = {}, pools = [{ subnet: '10.95.0.0/24' }]) => {
  await plugin.controller.listNetworks(); // it serves
  return await networkd.controller.createNetwork({ name: 'app', driver: 'other', pools, options });
};

describe('a network of a plugin', () => {
  test('containers get the interface the plugin makes, our addresses, names and routes; nothing is left', async () => {
    for (const part of [plugin, networkd]) await part.controller.listNetworks();
    const before = host.census([plugin.runDirectory, networkd.runDirectory]);
    await create();
    const [a, b] = [await sandbox('a'), await sandbox('b')];
    expect(addressOf(a)).toBe('10.95.0.2');
    expect(await reaches(a.namespacePath, addressOf(b))).toBe(true);
    expect(await reaches(a.namespacePath, neighbourAddress)).toBe(true);
    expect(await host.run(a.namespacePath, 'busybox', 'nslookup', 'b', '127.0.0.11')).toContain(addressOf(b));
    const link = await host.run(a.namespacePath, 'ip', '-br', 'link', 'show', 'eth0');
    expect(link).toContain(a.endpoints[0]?.macAddress);
    for (const { id } of [a, b]) await networkd.controller.removeSandbox(id);
    await networkd.controller.removeNetwork('app');
    expect(host.census([plugin.runDirectory, networkd.runDirectory])).toEqual(before);
  });

  test('ports are published by us: at the start, while the container lives, and by the successor, too', async () => {
    await create();
    const port = (hostPort: number): PortRequest => ({ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort });
    const a = await sandbox('a', 'app', [port(8080)]);
    expect(a.ports.map(({ hostIp, hostPort }) => `${hostIp} ${hostPort}`)).toEqual(['0.0.0.0 8080', ':: 8080']);
    host.serve(a.namespacePath, 80);
    const ask = (hostPort: number) =>
      Promise.all([
        host.ask(host.neighbour, hostAddress, hostPort),
        host.ask(host.namespace, '127.0.0.1', hostPort),
        host.ask(host.namespace, '::1', hostPort),
      ]);
    // a listener of ours carries the connections: they come from the host, by the plugin's bridge
    const answers = Array(3).fill('from 10.95.0.1');
    const nothing = Array(3).fill(undefined);
    expect(await ask(8080)).toEqual(answers);
    await networkd.controller.publish(a.id, [port(8081)]);
    expect(await ask(8081)).toEqual(answers);
    await networkd.kill();
    networkd.start();
    expect((await networkd.controller.sandbox(a.id)).ports).toHaveLength(4);
    for (const number of [8080, 8081]) expect(await ask(number)).toEqual(answers);
    expect((await refusal(sandbox('late', 'app', [port(8080)]))).message).toContain('port is already allocated');
    await networkd.controller.unpublish(a.id, [port(8081)]);
    expect(await ask(8081)).toEqual(nothing);
    await networkd.controller.disconnect(a.id, 'app');
    expect(await ask(8080)).toEqual(nothing);
    await networkd.controller.connect(a.id, { network: 'app' });
    expect(await ask(8080)).toEqual(answers);
    await networkd.controller.removeSandbox(a.id);
    expect(await ask(8080)).toEqual(nothing);
  }, 30_000);

  test('its words reach the user, and the network is not there', async () => {
    const refused = await refusal(create({ 'boxship.driver': 'token' }));
    expect(refused.message).toContain('boxship.driver=token: bridge, macvlan or ipvlan is needed');
    expect((await networkd.controller.listNetworks()).map(({ spec }) => spec.name)).not.toContain('app');
    const unknown = networkd.controller.createNetwork({ name: 'x', driver: 'weave' });
    expect(await refusal(unknown)).toMatchObject({ kind: 'notFound', message: 'plugin "weave" not found' });
  });

  test('both sides die and come back; the container goes on and is taken out at last', async () => {
    await create();
    const a = await sandbox('a');
    await Promise.all([networkd.kill(), plugin.kill()]);
    expect(await reaches(a.namespacePath, '10.95.0.1')).toBe(true);
    // the plugin may be the later one
    networkd.start();
    expect(await networkd.controller.listSandboxes()).toEqual([a]);
    plugin.start();
    const b = await sandbox('b');
    expect(await reaches(b.namespacePath, addressOf(a))).toBe(true);
    await networkd.controller.disconnect(a.id, 'app');
    expect(await host.run(a.namespacePath, 'ip', '-br', 'link')).not.toContain('eth0');
  });

  test.each(['plugin.endpoint', 'plugin.joined'])(
    'a plugin that dies at %s leaves no half of an endpoint',
    async (point) => {
      await create();
      const before = host.census([plugin.runDirectory, networkd.runDirectory]);
      await plugin.kill();
      plugin.start(`${point}=kill`);
      const failed = refusal(sandbox('a'));
      await plugin.ended();
      plugin.start();
      expect((await failed).kind).toBe('unknown');
      expect(await networkd.controller.listSandboxes()).toEqual([]);
      expect(host.census([plugin.runDirectory, networkd.runDirectory])).toEqual(before);
      const b = await sandbox('b');
      expect(await reaches(b.namespacePath, '10.95.0.1')).toBe(true);
    },
  );
});

test('addresses of a plugin: pools with networks, addresses with endpoints, all given back', async () => {
  await plugin.controller.listNetworks();
  const spec = { name: 'app', driver: 'bridge', ipamDriver: 'other' } as const;
  const network = await networkd.controller.createNetwork(spec);
  expect(network.spec.pools[0]?.subnet).toMatch(/^172\.\d+\.0\.0\/16$/);
  const prefix = network.spec.pools[0]?.subnet?.replace('0.0/16', '') ?? '';
  expect(network.spec.pools[0]?.gateway).toBe(`${prefix}0.1`);
  const [a, b] = [await sandbox('a'), await sandbox('b')];
  expect([addressOf(a), addressOf(b)]).toEqual([`${prefix}0.2`, `${prefix}0.3`]);
  expect(await reaches(a.namespacePath, addressOf(b))).toBe(true);
  await networkd.kill();
  networkd.start();
  const wanted = { network: 'app', ipv4Address: `${prefix}9.9` };
  const c = await sandbox('c', 'bridge');
  expect((await networkd.controller.connect(c.id, wanted)).ipv4Address).toBe(`${prefix}9.9`);
  const d = await sandbox('d', 'bridge');
  expect((await refusal(networkd.controller.connect(d.id, wanted))).message).toContain('Address already in use');
  await networkd.controller.disconnect(c.id, 'app');
  await networkd.controller.connect(d.id, wanted);
  for (const { id } of [a, b, c, d]) await networkd.controller.removeSandbox(id);
  await networkd.controller.removeNetwork('app');
  // the plugin holds nothing for us any more
  expect((await networkd.controller.createNetwork(spec)).spec.pools).toEqual(network.spec.pools);
  const unknown = networkd.controller.createNetwork({ name: 'x', driver: 'bridge', ipamDriver: 'nosuch' });
  expect(await refusal(unknown)).toMatchObject({ kind: 'notFound', message: 'plugin "nosuch" not found' });
});

test('plugins are found by .spec and .json files, too', async () => {
  const directory = join(host.directory, 'plugins');
  writeFileSync(join(directory, 'byspec.spec'), `unix://${join(directory, 'other.sock')}\n`);
  writeFileSync(
    join(directory, 'byjson.json'),
    JSON.stringify({ Name: 'byjson', Addr: `unix://${join(directory, 'other.sock')}` }),
  );
  writeFileSync(join(directory, 'bad.spec'), 'nowhere');
  await plugin.controller.listNetworks();
  for (const [index, driver] of ['byspec', 'byjson'].entries())
    await networkd.controller.createNetwork({ name: driver, driver, pools: [{ subnet: `10.96.${index}.0/24` }] });
  expect((await refusal(networkd.controller.createNetwork({ name: 'x', driver: 'bad' }))).message).toContain(
    '"nowhere" is no address',
  );
});
