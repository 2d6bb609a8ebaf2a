/** Overlay networks: three hosts, an etcd, and one boxship-networkd on each host. */
import { isIP } from 'node:net';
import { poll, randomId } from '@boxship/base';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Network, Sandbox, SandboxSpec } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { addressOf, refusal } from '../src/testsuite/suite.ts';
import { etcdUrl, TestCluster } from '../src/testsuite/test-cluster.ts';
import { neighbourAddress, type TestHost } from '../src/testsuite/test-host.ts';

let cluster: TestCluster;
let engines: TestNetworkd[];
const host = (number: number): TestHost => cluster.hosts[number] as TestHost;
const engine = (number: number): TestNetworkd => engines[number] as TestNetworkd;

const flags = [
  ...['--cluster-store', etcdUrl, '--cluster-advertise', 'lan0'],
  ...['--cluster-store-opt', 'discovery.heartbeat=1', '--cluster-store-opt', 'discovery.ttl=3'],
];

beforeAll(async () => {
  cluster = new TestCluster(3);
  await cluster.startEtcd();
  engines = cluster.hosts.map((of, index) => new TestNetworkd(of, `e${index}`, flags));
  for (const networkd of engines) networkd.start();
}, 30_000);
afterAll(async () => {
  for (const networkd of engines) networkd[Symbol.dispose]();
  await cluster[Symbol.asyncDispose]();
});

async function sandbox(on: number, name: string, spec: Partial<SandboxSpec> = {}): Promise<Sandbox> {
  const made = await engine(on).controller.createSandbox({
    id: randomId(),
    containerName: name,
    hostname: 'h',
    domainname: '',
    endpoints: [{ network: 'app' }],
    ...spec,
  });
  host(on).serve(made.namespacePath, 80);
  return made;
}

/** What another host has to hear of first. */
const soon = <T>(probe: () => Promise<T | undefined>): Promise<T | undefined> =>
  poll({ everyMs: 50, timeoutMs: 15_000 }, probe);

/** Empty: nobody is called that, or nobody answers. */
const resolves = (on: number, from: Sandbox, name: string): Promise<string> =>
  host(on)
    .run(from.namespacePath, 'dig', '+short', '+time=2', '+tries=1', '@127.0.0.11', '-q', name)
    .catch(() => '');

/** By address, or by the name that the container's resolver knows; at once. */
async function asks(on: number, from: Sandbox, to: string): Promise<string | undefined> {
  const address = isIP(to) === 0 ? await resolves(on, from, to) : to;
  return address === '' ? undefined : await host(on).ask(from.namespacePath, address, 80);
}

const reaches = (on: number, from: Sandbox, to: string): Promise<string | undefined> => soon(() => asks(on, from, to));

const networkOn = (on: number, name: string) =>
  soon(() =>
    engine(on)
      .controller.network(name)
      .catch(() => undefined),
  );

/** A network `app` on all hosts. */
async function makeApp(options: Record<string, string> = {}): Promise<Network> {
  const network = await engine(0).controller.createNetwork({ name: 'app', driver: 'overlay', options });
  for (const number of [1, 2]) expect(await networkOn(number, 'app')).toEqual(network);
  return network;
}

/** What of a network there is on all hosts and in etcd. */
async function left(): Promise<string[]> {
  const links = cluster.hosts.flatMap((of) => of.census([])).filter((text) => !/boxship0|^table/.test(text));
  const entries = [...(await cluster.entries()).keys()].filter((key) => !key.startsWith('boxship/hosts/'));
  return [...links, ...entries];
}

afterEach(async () => {
  for (const { controller } of engines)
    for (const { id } of await controller.listSandboxes()) await controller.removeSandbox(id);
  for (const { spec } of await engine(0).controller.listNetworks())
    if (spec.driver === 'overlay') await engine(0).controller.removeNetwork(spec.name);
  expect(await soon(async () => ((await left()).length === 0 ? 'nothing' : undefined)), String(await left())).toBe(
    'nothing',
  );
});

describe('an overlay network', () => {
  test('is one network on all hosts: containers reach each other by address and by name, and the world by their host', async () => {
    const network = await engine(0).controller.createNetwork({ name: 'app', driver: 'overlay', isAttachable: true });
    expect(network.spec.pools[0]?.subnet).toMatch(/^10\.\d+\.\d+\.0\/24$/);
    expect(network.spec.options).toEqual({ 'com.docker.network.driver.overlay.vxlanid_list': '4096' });
    expect(await networkOn(1, 'app')).toEqual(network);
    await networkOn(2, 'app');
    const [a, b, c] = [
      await sandbox(0, 'a'),
      await sandbox(1, 'b', { endpoints: [{ network: 'app', aliases: ['db'] }] }),
      await sandbox(2, 'c'),
    ];
    expect(new Set([addressOf(a), addressOf(b), addressOf(c)]).size).toBe(3);
    expect(await reaches(0, a, addressOf(b))).toBe(`from ${addressOf(a)}`);
    expect(await reaches(2, c, addressOf(b))).toBe(`from ${addressOf(c)}`);
    for (const name of ['b', 'db', 'B.app', b.id.slice(0, 12)]) expect(await resolves(0, a, name)).toBe(addressOf(b));
    expect(await host(2).run(c.namespacePath, 'dig', '+short', '@127.0.0.11', '-x', addressOf(b))).toBe('b.app.');
    host(1).serve(host(1).neighbour, 7000);
    expect(await host(1).ask(b.namespacePath, neighbourAddress, 7000)).toMatch(/^from 10\.99\.0\.1$/);
    await engine(1).controller.rename(b.id, 'bee');
    expect(await soon(async () => (await resolves(0, a, 'bee')) || undefined)).toBe(addressOf(b));
    expect(await resolves(0, a, 'b')).not.toBe(addressOf(b));
    await engine(1).controller.removeSandbox(b.id);
    await soon(async () => ((await resolves(0, a, 'bee')) === '' ? true : undefined));
    expect(await host(0).ask(a.namespacePath, addressOf(b), 80)).toBeUndefined();
  });

  test('has the MTU that the tunnel leaves', async () => {
    await makeApp();
    const [a, b] = [await sandbox(0, 'a'), await sandbox(1, 'b')];
    expect(await host(0).run(a.namespacePath, 'ip', 'link', 'show', 'eth0')).toContain('mtu 1450');
    await reaches(0, a, addressOf(b));
    // 20 bytes of IP and 8 of ICMP
    const ping = (size: number) =>
      host(0).run(a.namespacePath, 'ping', '-c', '1', '-W', '2', '-M', 'do', '-s', String(size), addressOf(b));
    expect(await ping(1422)).toContain('1 received');
    await expect(ping(1423)).rejects.toThrow();
  });

  test('engines that ask at the same moment get different networks and different addresses', async () => {
    const names = Array.from({ length: 9 }, (_, index) => `n${index}`);
    const made = await Promise.all(
      names.map((name, index) => engine(index % 3).controller.createNetwork({ name, driver: 'overlay' })),
    );
    expect(new Set(made.map(({ spec }) => spec.pools[0]?.subnet)).size).toBe(9);
    expect(new Set(made.map(({ spec }) => spec.options['com.docker.network.driver.overlay.vxlanid_list'])).size).toBe(
      9,
    );
    const same = await Promise.allSettled(
      [0, 1, 2].map((number) => engine(number).controller.createNetwork({ name: 'same', driver: 'overlay' })),
    );
    expect(same.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const small = { name: 'app', driver: 'overlay', pools: [{ subnet: '10.40.0.0/27' }] };
    const { id } = await engine(0).controller.createNetwork(small);
    for (const number of [1, 2]) await networkOn(number, 'app');
    const all = await Promise.allSettled(Array.from({ length: 33 }, (_, index) => sandbox(index % 3, `c${index}`)));
    const members = all.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    expect(members).toHaveLength(29);
    expect(new Set(members.map((member) => addressOf(member))).size).toBe(29);
    const refused = all.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    expect(refused[0]).toContain(`no available IPv4 addresses on this network's address pools: app (${id})`);
    const owner = members[0] as Sandbox;
    const wanted = { endpoints: [{ network: 'app', ipv4Address: addressOf(owner) }] };
    for (const number of [0, 1, 2])
      expect((await refusal(sandbox(number, 'late', wanted))).message).toBe('Address already in use');
  });

  test('is refused where it cannot be, in words that say why', async () => {
    await makeApp();
    const of = (options: Record<string, string>, spec = {}) =>
      refusal(engine(1).controller.createNetwork({ name: 'x', driver: 'overlay', options, ...spec }));
    const encrypted = await of({ encrypted: '' });
    expect(encrypted).toMatchObject({ kind: 'unimplemented', message: expect.stringContaining('ESP') });
    expect((await of({ 'com.docker.network.driver.overlay.vxlanid_list': '4096' })).message).toBe(
      'VXLAN number 4096 belongs to network app',
    );
    expect((await of({ 'com.docker.network.bridge.name': 'x' })).kind).toBe('invalidArgument');
    expect((await of({}, { name: 'app' })).message).toBe('network with name app already exists');
    expect((await of({}, { pools: [{ subnet: '10.0.0.0/16' }] })).message).toContain('Pool overlaps');
    const inUse = await sandbox(2, 'c');
    const busy = await refusal(engine(0).controller.removeNetwork('app'));
    expect(busy).toMatchObject({ kind: 'permissionDenied', message: expect.stringContaining('has active endpoints') });
    await engine(2).controller.removeSandbox(inUse.id);
  });

  test('a tunnel or bridge that another program deletes is made again, and knows everybody', async () => {
    const { id } = await makeApp();
    const [a, b] = [await sandbox(0, 'a'), await sandbox(1, 'b')];
    for (const link of [`vx-${id.slice(0, 12)}`, `br-${id.slice(0, 12)}`]) {
      await host(0).run(host(0).namespace, 'ip', 'link', 'del', link);
      expect(await reaches(0, a, addressOf(b))).toBe(`from ${addressOf(a)}`);
    }
  });

  test('published ports are those of the host of the container', async () => {
    await makeApp();
    const ports = [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 }] as const;
    const a = await sandbox(0, 'a', { ports });
    expect(await host(0).ask(host(0).neighbour, '10.99.0.1', 8080)).toBe(`from ${neighbourAddress}`);
    const b = await sandbox(1, 'b');
    expect(await host(1).ask(b.namespacePath, cluster.addressOf(0), 8080)).toBe(`from ${cluster.addressOf(1)}`);
    expect(addressOf(a)).not.toBe(addressOf(b));
  });
});

describe('while etcd is away', () => {
  test('containers go on; what needs it fails and names it; afterwards both sides come together', async () => {
    await makeApp();
    const [a, b, c] = [await sandbox(0, 'a'), await sandbox(1, 'b'), await sandbox(2, 'c')];
    expect(await reaches(0, a, 'b')).toBe(`from ${addressOf(a)}`);
    await cluster.stopEtcd();
    expect(await asks(0, a, 'b')).toBe(`from ${addressOf(a)}`);
    for (const refused of [
      await refusal(sandbox(0, 'late')),
      await refusal(engine(0).controller.createNetwork({ name: 'late', driver: 'overlay' })),
    ])
      expect(refused).toMatchObject({
        kind: 'unavailable',
        message: expect.stringContaining('etcd at 10.98.0.254:2379'),
      });
    // one ends meanwhile, and the process that would tell it, too
    await engine(1).controller.removeSandbox(b.id);
    await engine(2).kill();
    engine(2).start();
    expect((await engine(2).controller.listSandboxes()).map(({ id }) => id)).toEqual([c.id]);
    expect(engine(2).log).toContain('containers of other hosts are unknown by name until it is back');
    expect(await host(0).ask(a.namespacePath, addressOf(c), 80)).toBe(`from ${addressOf(a)}`);
    expect(await host(2).ask(c.namespacePath, addressOf(a), 80)).toBe(`from ${addressOf(c)}`);
    await cluster.startEtcd();
    expect(await soon(async () => ((await resolves(0, a, 'b')) === '' ? 'gone' : undefined))).toBe('gone');
    expect(await soon(async () => (await resolves(2, c, 'a')) || undefined)).toBe(addressOf(a));
    expect(engine(2).log).toContain('cluster store is back');
    expect(await soon(() => sandbox(1, 'd').catch(() => undefined))).toBeDefined();
  }, 60_000);

  test('a history that etcd has thrown away is read anew', async () => {
    await makeApp();
    const a = await sandbox(0, 'a');
    engine(0).signal('SIGSTOP'); // its watch is open, but nothing is read from it
    const b = await sandbox(1, 'b');
    await engine(1).controller.removeSandbox(b.id);
    await cluster.overflow();
    const c = await sandbox(1, 'c');
    await cluster.compact();
    engine(0).signal('SIGCONT');
    expect(await soon(async () => (await resolves(0, a, 'c')) || undefined)).toBe(addressOf(c));
    expect(engine(0).log).toContain('its history was compacted');
    expect(await resolves(0, a, 'b')).toBe('');
    expect(await reaches(0, a, addressOf(c))).toBe(`from ${addressOf(a)}`);
  }, 60_000);
});

describe('a host', () => {
  test('that is cut off is not looked up, keeps its addresses, and is back with all of its containers', async () => {
    const network = await makeApp();
    const [a, b] = [await sandbox(0, 'a'), await sandbox(1, 'b')];
    expect(await reaches(0, a, 'b')).toBe(`from ${addressOf(a)}`);
    cluster.setPlugged(1, false);
    expect(await soon(async () => ((await resolves(0, a, 'b')) === '' ? 'gone' : undefined))).toBe('gone');
    expect(await host(1).ask(b.namespacePath, addressOf(b), 80)).toBe(`from ${addressOf(b)}`);
    const wanted = { endpoints: [{ network: 'app', ipv4Address: addressOf(b) }] };
    expect(await refusal(sandbox(0, 'thief', wanted))).toMatchObject({ kind: 'invalidArgument' }); // the subnet was chosen
    const others = await Promise.all([sandbox(0, 'x'), sandbox(2, 'y')]);
    expect(others.map((other) => addressOf(other))).not.toContain(addressOf(b));
    cluster.setPlugged(1, true);
    expect(await soon(async () => (await resolves(0, a, 'b')) || undefined)).toBe(addressOf(b));
    expect(await reaches(0, a, addressOf(b))).toBe(`from ${addressOf(a)}`);
    expect(await reaches(1, b, addressOf(others[1]))).toBe(`from ${addressOf(b)}`);
    expect(await engine(1).controller.network('app')).toEqual(network);
  }, 60_000);

  test('whose process is killed goes on; its successor gives back what nobody has', async () => {
    await makeApp();
    const [a, b] = [await sandbox(0, 'a'), await sandbox(1, 'b')];
    expect(await reaches(0, a, 'b')).toBe(`from ${addressOf(a)}`);
    await engine(1).kill();
    expect(await host(0).ask(a.namespacePath, addressOf(b), 80)).toBe(`from ${addressOf(a)}`);
    const c = await sandbox(2, 'c');
    // between the claim of an address and the record of its container, then between record and interface
    const lost: Promise<Sandbox>[] = [];
    for (const failPoint of ['start.op-row', 'start.veth-made']) {
      engine(1).start(`${failPoint}=kill`);
      // asked of the successor again
      lost.push(sandbox(1, 'lost'));
      await engine(1).ended();
    }
    engine(1).start();
    expect(await reaches(1, b, 'c')).toBe(`from ${addressOf(b)}`);
    expect(await reaches(2, c, 'b')).toBe(`from ${addressOf(c)}`);
    await Promise.all(lost);
    const held = async (): Promise<string[]> =>
      [...(await cluster.entries()).keys()].filter((key) => key.startsWith('boxship/addresses/'));
    const isWhole = await soon(async () => (await held()).length === 5 || undefined);
    expect(isWhole, String(await held())).toBe(true);
  }, 60_000);

  test('that dies while it makes a network leaves one that all have, or none', async () => {
    for (const failPoint of ['net.defined', 'net.bridge-made']) {
      await engine(1).kill();
      engine(1).start(`${failPoint}=kill`);
      await engine(1)
        .controller.createNetwork({ name: 'app', driver: 'overlay' })
        .catch(() => {});
      await engine(1).ended();
      engine(1).start();
      for (const number of [0, 1]) expect(await networkOn(number, 'app')).toBeDefined();
      await engine(1).controller.removeNetwork('app');
    }
  }, 60_000);

  test('whose engine is purged is out of the cluster; its networks stay those of the others', async () => {
    await makeApp();
    const [, b] = [await sandbox(2, 'gone'), await sandbox(1, 'b')];
    await engine(2).kill();
    engine(2).start(undefined, ['--purge']);
    expect(await engine(2).ended(), engine(2).log).toBe(0);
    expect(host(2).census([engine(2).runDirectory])).toEqual([]);
    const held = [...(await cluster.entries()).keys()].filter((key) => key.startsWith('boxship/addresses/'));
    expect(held.map((key) => key.split('/').at(-1))).toEqual([addressOf(b)]);
    expect((await engine(1).controller.network('app')).spec.name).toBe('app');
    engine(2).start();
    await networkOn(2, 'app');
    const c = await sandbox(2, 'c');
    expect(await reaches(2, c, 'b')).toBe(`from ${addressOf(c)}`);
  }, 60_000);
});
