/** macvlan in its modes, on a veth as parent; ipvlan and VLANs as far as this kernel has them. */
import { poll, randomId } from '@boxship/base';
import { newVeth } from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sandbox } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { addressOf, refusal } from '../src/testsuite/suite.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

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

/** A loaded machine may need more than one try. */
const reaches = (from: string, address: string): Promise<true | undefined> =>
  poll({ everyMs: 50, timeoutMs: 5000 }, async () => (await host.canPing(from, address)) || undefined);

const pools = [{ subnet: '10.99.0.0/24', ipRange: '10.99.0.64/27', gateway: neighbourAddress }];
const lan = (options: Record<string, string> = {}) =>
  networkd.controller.createNetwork({ name: 'lan', driver: 'macvlan', pools, options: { parent: 'up0', ...options } });

async function sandbox(name: string, network = 'lan'): Promise<Sandbox> {
  const made = await networkd.controller.createSandbox({
    id: randomId(),
    containerName: name,
    hostname: name,
    domainname: '',
    endpoints: [{ network }],
    ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 }],
  });
  host.serve(made.namespacePath, 80);
  return made;
}

describe('macvlan', () => {
  test('containers are machines of the LAN: reached and reaching with their own addresses, but not by their host', async () => {
    const network = await lan();
    expect(network.spec.options).toEqual({ parent: 'up0' });
    const [a, b] = [await sandbox('a'), await sandbox('b')];
    expect(addressOf(a)).toBe('10.99.0.64');
    expect(a.ports).toEqual([]); // nothing is published: the container itself is on the LAN
    host.serve(host.neighbour, 7000);
    expect(await host.ask(a.namespacePath, neighbourAddress, 7000)).toBe(`from ${addressOf(a)}`);
    expect(await host.ask(host.neighbour, addressOf(a), 80)).toBe(`from ${neighbourAddress}`);
    expect(await host.ask(b.namespacePath, addressOf(a), 80)).toBe(`from ${addressOf(b)}`);
    expect(await host.canPing(a.namespacePath, hostAddress)).toBe(false);
    expect(await host.run(a.namespacePath, 'ip', 'route', 'show', 'default')).toContain(`via ${neighbourAddress}`);
    expect(await host.run(a.namespacePath, 'ip', '-d', 'link', 'show', 'eth0')).toContain('macvlan mode bridge');
    const link = await host.run(a.namespacePath, 'ip', '-br', 'link', 'show', 'eth0');
    expect(link).toContain(a.endpoints[0]?.macAddress);
  });

  test.each([
    ['private', false],
    ['vepa', false],
    ['bridge', true],
  ])('mode %s: siblings reach each other: %s', async (mode, isReached) => {
    await lan({ macvlan_mode: mode });
    const [a, b] = [await sandbox('a'), await sandbox('b')];
    expect(await host.run(a.namespacePath, 'ip', '-d', 'link', 'show', 'eth0')).toContain(`macvlan mode ${mode}`);
    expect(await reaches(a.namespacePath, neighbourAddress)).toBe(true);
    expect(await host.canPing(a.namespacePath, addressOf(b))).toBe(isReached);
  });

  test('mode passthru: one container has the parent for itself', async () => {
    await lan({ macvlan_mode: 'passthru' });
    const a = await sandbox('a');
    expect(await reaches(a.namespacePath, neighbourAddress)).toBe(true);
    expect(await refusal(sandbox('b'))).toMatchObject({
      kind: 'conflict',
      message: 'parent up0 serves one container only in mode passthru, and has one',
    });
    await networkd.controller.removeSandbox(a.id);
    expect(await reaches((await sandbox('c')).namespacePath, neighbourAddress)).toBe(true);
  });

  test('without a parent the containers reach each other and nothing else', async () => {
    await networkd.controller.createNetwork({ name: 'lan', driver: 'macvlan' });
    const [a, b] = [await sandbox('a'), await sandbox('b')];
    expect(await host.ask(b.namespacePath, addressOf(a), 80)).toBe(`from ${addressOf(b)}`);
    expect(await host.canPing(a.namespacePath, neighbourAddress)).toBe(false);
    for (const { id } of [a, b]) await networkd.controller.removeSandbox(id);
    await networkd.controller.removeNetwork('lan');
    expect(await host.run(host.namespace, 'ip', '-br', 'link')).not.toContain('dm-');
  });

  test('joined and parted while the container lives; the other network goes on', async () => {
    await lan();
    const a = await sandbox('a', 'bridge');
    const { interfaceName } = await networkd.controller.connect(a.id, { network: 'lan', ipv4Address: '10.99.0.70' });
    expect(await host.ask(host.neighbour, '10.99.0.70', 80)).toBe(`from ${neighbourAddress}`);
    expect(await host.ask(host.namespace, addressOf(a), 80)).toMatch(/^from /);
    await networkd.controller.disconnect(a.id, 'lan');
    expect(await host.run(a.namespacePath, 'ip', '-br', 'link')).not.toContain(interfaceName);
    expect(await host.ask(host.namespace, addressOf(a), 80)).toMatch(/^from /);
  });

  test('goes on while no controller lives; the successor knows it; nothing is left', async () => {
    await lan();
    const a = await sandbox('a');
    await networkd.kill();
    expect(await host.ask(host.neighbour, addressOf(a), 80)).toBe(`from ${neighbourAddress}`);
    networkd.start();
    expect((await networkd.controller.listSandboxes()).map(({ id }) => id)).toEqual([a.id]);
    expect(await host.ask(host.neighbour, addressOf(a), 80)).toBe(`from ${neighbourAddress}`);
    expect(addressOf(await sandbox('b'))).not.toBe(addressOf(a));
    for (const { id } of await networkd.controller.listSandboxes()) await networkd.controller.removeSandbox(id);
    await networkd.controller.removeNetwork('lan');
    expect(await host.run(host.namespace, 'ip', '-br', 'link')).toContain('up0');
  });

  test('killed between the record and the link, connect leaves no endpoint without an interface', async () => {
    await lan();
    const a = await sandbox('a', 'bridge');
    await networkd.kill();
    networkd.start('ep.row=kill');
    await networkd.controller.connect(a.id, { network: 'lan' }).catch(() => {});
    await networkd.ended();
    networkd.start();
    const { endpoints } = await networkd.controller.sandbox(a.id);
    const links = await host.run(a.namespacePath, 'ip', '-br', 'link');
    for (const { interfaceName } of endpoints) expect(links).toContain(interfaceName);
  });

  test('what cannot be is refused in words that name it', async () => {
    await lan();
    const of = (options: Record<string, string>) =>
      refusal(networkd.controller.createNetwork({ name: 'other', driver: 'macvlan', options }));
    expect((await of({ parent: 'up0' })).message).toBe('network lan is already using parent interface up0');
    expect((await of({ parent: 'nosuch' })).message).toBe('the interface nosuch was not found on the host');
    expect((await of({ parent: 'lo' })).message).toBe('loopback interface is not a valid parent: lo');
    expect((await of({ parent: 'a b' })).kind).toBe('invalidArgument');
    expect((await of({ macvlan_mode: 'open' })).message).toContain('option macvlan_mode=open is unknown');
    const names = (await networkd.controller.listNetworks()).map(({ spec }) => spec.name);
    expect(names).not.toContain('other');
  });
});

/** Whether this kernel can make such a link. */
async function has(...link: readonly string[]): Promise<boolean> {
  host.inside(host.namespace, (socket) => socket.execute(newVeth({ name: 'probe0', peer: { name: 'probe1' } })));
  const made = host.run(host.namespace, 'ip', 'link', 'add', 'link', 'probe0', 'name', 'probe2', 'type', ...link);
  const isThere = await made.then(
    () => true,
    () => false,
  );
  await host.run(host.namespace, 'ip', 'link', 'del', 'probe0');
  return isThere;
}

test('ipvlan: where the kernel has it containers are on the LAN, else the network is refused with the reason', async () => {
  const spec = { name: 'lan', driver: 'ipvlan', pools, options: { parent: 'up0' } };
  if (await has('ipvlan')) {
    await networkd.controller.createNetwork(spec);
    const a = await sandbox('a');
    expect(await host.ask(host.neighbour, addressOf(a), 80)).toBe(`from ${neighbourAddress}`);
  } else {
    expect(await refusal(networkd.controller.createNetwork(spec))).toMatchObject({
      kind: 'unimplemented',
      message: 'this kernel has no ipvlan (module ipvlan is missing)',
    });
    await lan(); // the parent is free
  }
});

test('a VLAN of an interface is made with the network, where the kernel has VLANs', async () => {
  const made = lan({ parent: 'up0.7' });
  if (await has('vlan', 'id', '9')) {
    await made;
    expect(await host.run(host.namespace, 'ip', '-br', 'link')).toContain('up0.7@up0');
    await networkd.controller.removeNetwork('lan');
    expect(await host.run(host.namespace, 'ip', '-br', 'link')).not.toContain('up0.7@up0');
  } else
    expect(await refusal(made)).toMatchObject({
      kind: 'unimplemented',
      message: 'failed to create up0.7: this kernel has no 802.1q VLANs (module 8021q)',
    });
});
