/**
 * Death at every step: the controller is killed at a named point, started again, and the kernel must equal the records; a call
 * that was under way succeeds at the successor. What runs meanwhile notices nothing.
 */

import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BoxshipError, poll, randomId } from '@boxship/base';
import { changeLink, newVeth, unmount } from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sandbox } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { hostAddress, TestHost } from '../src/testsuite/test-host.ts';

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

const port = (hostPort: number) => ({ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort }) as const;

async function sandbox(of: TestNetworkd, name: string, hostPort: number, network = 'bridge'): Promise<Sandbox> {
  const id = randomId();
  const directory = join(host.directory, 'files', id);
  mkdirSync(directory, { recursive: true });
  return await of.controller.createSandbox({
    id,
    containerName: name,
    hostname: id.slice(0, 12),
    domainname: '',
    files: { hostsPath: join(directory, 'hosts'), resolvConfPath: join(directory, 'resolv.conf') },
    endpoints: [{ network }],
    ports: [port(hostPort)],
  });
}

/** Elements of our sets that speak of containers, and everything the census counts. */
async function everything(of: TestNetworkd): Promise<string[]> {
  const rules = await host.run(host.namespace, 'nft', 'list', 'ruleset');
  return [...host.census([of.runDirectory]), ...[...rules.matchAll(/(?:tcp|udp) \. \d+/g)].map(([element]) => element)];
}

async function settlesTo(of: TestNetworkd, expected: readonly string[]): Promise<void> {
  let last: string[] = [];
  await poll({ everyMs: 30, timeoutMs: 5000 }, async () => {
    last = await everything(of);
    return last.length === expected.length || undefined;
  });
  expect(last).toEqual(expected);
}

describe('killed at every step', () => {
  test.each(['start.op-row', 'start.veth-made', 'start.fw-applied', 'start.ready'])(
    'createSandbox at %s: the call succeeds at the successor, nothing is left afterwards',
    async (point) => {
      networkd.start();
      await networkd.controller.listNetworks();
      const before = await everything(networkd);
      await networkd.kill();
      networkd.start(`${point}=kill`);
      const making = sandbox(networkd, 'web', 8080);
      expect(await networkd.ended()).toBe('SIGKILL');
      networkd.start();
      const web = await making;
      host.serve(web.namespacePath, 80);
      expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
      expect(await networkd.controller.listSandboxes()).toEqual([web]);
      await networkd.controller.removeSandbox(web.id);
      await settlesTo(networkd, before);
    },
  );

  test.each(['stop.op-row', 'stop.ports-released', 'stop.net-released', 'stop.row-deleted'])(
    'removeSandbox at %s: the call succeeds at the successor, nothing is left',
    async (point) => {
      networkd.start();
      await networkd.controller.listNetworks();
      const before = await everything(networkd);
      const web = await sandbox(networkd, 'web', 8080);
      await networkd.kill();
      networkd.start(`${point}=kill`);
      const removing = networkd.controller.removeSandbox(web.id);
      expect(await networkd.ended()).toBe('SIGKILL');
      networkd.start();
      await removing;
      expect(await networkd.controller.listSandboxes()).toEqual([]);
      await settlesTo(networkd, before);
      // address and port are free again
      await sandbox(networkd, 'next', 8080);
    },
  );

  test.each(['net.row', 'net.bridge-made', 'net.fw-table', 'net.committed'])(
    'createNetwork at %s: wholly there or wholly absent',
    async (point) => {
      networkd.start();
      await networkd.controller.listNetworks();
      const before = await everything(networkd);
      await networkd.kill();
      // the predefined networks exist, so the first network made is the one of the test
      networkd.start(`${point}=kill`);
      const error: unknown = await networkd.controller
        .createNetwork({ name: 'mine', driver: 'bridge' })
        .catch((e: unknown) => e);
      expect(BoxshipError.is(error, 'unavailable')).toBe(true);
      networkd.start();
      const names = (await networkd.controller.listNetworks()).map(({ spec }) => spec.name);
      expect(names.includes('mine')).toBe(point === 'net.committed');
      if (point !== 'net.committed') {
        await settlesTo(networkd, before);
        await networkd.controller.createNetwork({ name: 'mine', driver: 'bridge' });
      }
      await sandbox(networkd, 'web', 8080, 'mine');
    },
  );

  test.each(['net.leaving', 'net.bridge-removed', 'net.gone'])(
    'removeNetwork at %s: the successor ends it',
    async (point) => {
      const mine = { name: 'mine', driver: 'bridge', pools: [{ subnet: '10.77.0.0/24' }] };
      networkd.start();
      await networkd.controller.listNetworks();
      const before = await everything(networkd);
      await networkd.controller.createNetwork(mine);
      await networkd.kill();
      networkd.start(`${point}=kill`);
      const error: unknown = await networkd.controller.removeNetwork('mine').catch((e: unknown) => e);
      expect(BoxshipError.is(error, 'unavailable')).toBe(true);
      networkd.start();
      expect((await networkd.controller.listNetworks()).map(({ spec }) => spec.name)).not.toContain('mine');
      await settlesTo(networkd, before);
      await networkd.controller.createNetwork(mine);
      await sandbox(networkd, 'web', 8080, 'mine');
    },
  );

  test.each(['publish.row', 'unpublish.rules'])('ports of a sandbox that lives, at %s', async (point) => {
    networkd.start();
    const web = await sandbox(networkd, 'web', 8080);
    host.serve(web.namespacePath, 80);
    await networkd.kill();
    networkd.start(`${point}=kill`);
    const port = { protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8082 } as const;
    // the second of the two calls dies with the first, or meets the successor
    const published = networkd.controller.publish(web.id, [port]).catch((error: unknown) => error);
    const removed =
      point === 'publish.row' ? undefined : published.then(() => networkd.controller.unpublish(web.id, [port]));
    expect(await networkd.ended()).toBe('SIGKILL');
    networkd.start();
    await removed;
    const { ports } = await networkd.controller.sandbox(web.id);
    const isThere = ports.some(({ hostPort }) => hostPort === 8082);
    expect(isThere).toBe(point === 'publish.row');
    expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
    const answer = await host.ask(host.namespace, '127.0.0.1', 8082);
    expect(answer !== undefined).toBe(isThere);
    await networkd.controller.unpublish(web.id, [port]);
    expect(await host.ask(host.namespace, '127.0.0.1', 8082)).toBeUndefined();
    await sandbox(networkd, 'next', 8082);
  });

  test.each(['ep.row', 'ep.veth', 'ep.parted'])('connect and disconnect at %s', async (point) => {
    networkd.start();
    const web = await sandbox(networkd, 'web', 8080);
    host.serve(web.namespacePath, 80);
    await networkd.controller.createNetwork({ name: 'alpha', driver: 'bridge' });
    if (point === 'ep.parted') await networkd.controller.connect(web.id, { network: 'alpha' });
    await networkd.kill();
    networkd.start(`${point}=kill`);
    const work =
      point === 'ep.parted'
        ? networkd.controller.disconnect(web.id, 'alpha')
        : networkd.controller.connect(web.id, { network: 'alpha' });
    await expect(work).rejects.toThrow();
    networkd.start();
    const after = await networkd.controller.sandbox(web.id);
    const names = (await host.run(web.namespacePath, 'ip', '-br', 'link'))
      .split('\n')
      .map((line) => line.split(/[@ ]/)[0]);
    // what the record says is what the namespace has
    expect(names.filter((name) => name !== 'lo')).toEqual(after.endpoints.map(({ interfaceName }) => interfaceName));
    const alpha = after.endpoints.find(({ networkName }) => networkName === 'alpha');
    expect(alpha !== undefined).toBe(point === 'ep.veth');
    if (alpha !== undefined) {
      expect(readFileSync(web.spec.files?.hostsPath ?? '', 'utf8')).toContain(`${alpha.ipv4Address}\t`);
      expect(readFileSync(web.spec.files?.resolvConfPath ?? '', 'utf8')).toContain('nameserver 127.0.0.11');
    }
    expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
    await networkd.controller.disconnect(web.id, 'alpha', { force: true });
    await networkd.controller.connect(web.id, { network: 'alpha' });
    expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
  });
});

describe('while no controller lives', () => {
  test('ports answer, and the successor takes over', async () => {
    networkd.start();
    const web = await sandbox(networkd, 'web', 8080);
    host.serve(web.namespacePath, 80);
    await networkd.kill();
    expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
    expect(await host.ask(host.neighbour, hostAddress, 8080)).toMatch(/^from /);
    expect(await host.canPing(web.namespacePath, '172.17.0.1')).toBe(true);

    networkd.start();
    expect(await networkd.controller.listSandboxes()).toEqual([web]);
    expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
    expect(await host.ask(host.namespace, '::1', 8080)).toMatch(/^from /);
    await expect(sandbox(networkd, 'late', 8080)).rejects.toThrow('port is already allocated');
    // its address is still taken
    const other = await sandbox(networkd, 'other', 8081);
    expect(other.endpoints[0]?.ipv4Address).not.toBe(web.endpoints[0]?.ipv4Address);
  });

  test('names are served again by the successor at the same place, for members that came in between too', async () => {
    networkd.start();
    await networkd.controller.createNetwork({ name: 'app', driver: 'bridge' });
    const web = await sandbox(networkd, 'web', 8080, 'app');
    const db = await sandbox(networkd, 'db', 8081, 'app');
    const dig = (name: string): Promise<string> =>
      host.run(web.namespacePath, 'dig', '+short', '+tries=1', '+time=1', '@127.0.0.11', name);
    const rules = (): Promise<string> => host.run(web.namespacePath, 'nft', '-y', 'list', 'table', 'ip', 'boxship-dns');
    const before = await rules();
    expect(await dig('db')).toBe(db.endpoints[0]?.ipv4Address);
    await networkd.kill();
    await expect(dig('db')).rejects.toThrow();
    networkd.start();
    await networkd.controller.listNetworks();
    expect(await dig('db')).toBe(db.endpoints[0]?.ipv4Address);
    expect(await rules()).toBe(before);
    const late = await sandbox(networkd, 'late', 8082, 'app');
    expect(await dig('late')).toBe(late.endpoints[0]?.ipv4Address);
    // somebody sits on the resolver's port when the next controller comes
    await networkd.kill();
    const port = / to 127\.0\.0\.11:(\d+)/.exec(before)?.[1] ?? '';
    const squatter = host.spawn(web.namespacePath, 'socat', [`TCP-LISTEN:${port},bind=127.0.0.11`, 'STDOUT']);
    await poll(
      { everyMs: 20, timeoutMs: 3000 },
      async () => (await host.run(web.namespacePath, 'ss', '-lnt')).includes(`:${port} `) || undefined,
    );
    networkd.start();
    await networkd.controller.listNetworks();
    expect(await dig('db')).toBe(db.endpoints[0]?.ipv4Address);
    expect(await rules()).not.toBe(before);
    squatter.kill();
  });

  test('a lookup of the C library that falls into the gap is answered by the successor', async () => {
    networkd.start();
    await networkd.controller.createNetwork({ name: 'app', driver: 'bridge' });
    const web = await sandbox(networkd, 'web', 8080, 'app');
    const resolvConf = web.spec.files?.resolvConfPath ?? '';
    const lookUp = `mount --bind ${resolvConf} /etc/resolv.conf && RES_OPTIONS='timeout:1 attempts:5' getent ahostsv4 web`;
    await networkd.kill();
    const looking = host.run(web.namespacePath, 'unshare', '-m', 'sh', '-c', lookUp);
    networkd.start();
    expect(await looking).toContain(web.endpoints[0]?.ipv4Address);
  });

  test('a resolver stays with a sandbox that has left its last network of names', async () => {
    networkd.start();
    await networkd.controller.createNetwork({ name: 'app', driver: 'bridge' });
    const web = await sandbox(networkd, 'web', 8080);
    await networkd.controller.connect(web.id, { network: 'app' });
    await networkd.controller.disconnect(web.id, 'app');
    await networkd.kill();
    networkd.start();
    await networkd.controller.listNetworks();
    // its resolv.conf names the resolver: an answer of whatever kind
    expect(await host.run(web.namespacePath, 'dig', '+tries=1', '@127.0.0.11', '.', 'NS')).toContain('status: ');
  });

  test('calls wait for a controller that is being started again', async () => {
    networkd.start();
    await networkd.controller.listNetworks();
    await networkd.kill();
    const asked = networkd.controller.createNetwork({ name: 'patient', driver: 'bridge' });
    networkd.start();
    expect((await asked).spec.name).toBe('patient');
  });

  test('an open connection through a port survives the death and the successor', async () => {
    networkd.start();
    const web = await sandbox(networkd, 'web', 8080);
    const echo = `require('net').createServer(s=>s.pipe(s)).listen(80,()=>console.log('ready'))`;
    const server = host.spawn(web.namespacePath, process.execPath, ['-e', echo]);
    await once(server.stdout as NodeJS.ReadableStream, 'data');
    const relay = join(host.directory, 'relay.sock');
    // a unix socket is not bound to a namespace: this process speaks through it from the host of the test
    host.spawn(host.namespace, 'socat', [`UNIX-LISTEN:${relay}`, 'TCP:127.0.0.1:8080']);
    const client = await poll({ everyMs: 20, timeoutMs: 3000 }, async () => {
      const socket = connect(relay);
      return await Promise.race([
        once(socket, 'connect').then(() => socket),
        once(socket, 'error').then(() => undefined),
      ]).catch(() => undefined);
    });
    if (client === undefined) throw new Error('no relay');
    const say = async (text: string): Promise<string> => {
      client.write(text);
      return String((await once(client, 'data'))[0]);
    };
    expect(await say('before')).toBe('before');
    await networkd.kill();
    expect(await say('while dead')).toBe('while dead');
    networkd.start();
    await networkd.controller.listNetworks();
    expect(await say('after')).toBe('after');
    client.destroy();
  });
});

describe('the hand of others', () => {
  const answers = async (): Promise<true | undefined> =>
    (await host.ask(host.neighbour, hostAddress, 8080)) === 'from 10.99.0.2' || undefined;
  /** What another program did is made good within the two seconds promised. */
  const comesBackAfter = async (...command: [string, ...string[]]): Promise<void> => {
    await host.run(host.namespace, ...command);
    const server = { namespace: host.neighbour, address: hostAddress, port: 8080, answer: 'from 10.99.0.2' };
    const tookMs = await host.backAfter(server);
    console.log(`${command.join(' ')}: back after ${tookMs} ms`);
    expect(tookMs, command.join(' ')).toBeLessThanOrEqual(2000);
  };
  const logs = async (text: string): Promise<void> =>
    expect(await poll({ everyMs: 20, timeoutMs: 2000 }, () => networkd.log.includes(text) || undefined), text).toBe(
      true,
    );

  test('flushed rules, a dropping FORWARD chain and a deleted bridge are made good', async () => {
    networkd.start();
    const web = await sandbox(networkd, 'web', 8080);
    host.serve(web.namespacePath, 80);
    expect(await answers()).toBe(true);

    await comesBackAfter('nft', 'flush', 'ruleset');
    // the table stands, but what is in it does not
    await comesBackAfter('nft', 'flush', 'table', 'inet', 'boxship-one');
    await logs('firewall table was changed by another program');
    await comesBackAfter('nft', 'flush', 'map', 'inet', 'boxship-one', 'anyport4');

    await comesBackAfter('iptables', '-P', 'FORWARD', 'DROP');
    const chain = await host.run(host.namespace, 'iptables', '-S', 'FORWARD');
    expect(chain).toContain('-A FORWARD -i boxship0 -j ACCEPT');
    expect(chain).toContain('-A FORWARD -o boxship0 -j ACCEPT');
    // what reloads of firewalls do: policy stays, rules go
    await comesBackAfter('iptables', '-F');

    await comesBackAfter('ip', 'link', 'del', 'boxship0');
    await comesBackAfter('ip', 'link', 'set', 'boxship0', 'down');
    await comesBackAfter('ip', 'addr', 'flush', 'dev', 'boxship0');
  });

  test('an interface deleted under a running container is made again', async () => {
    networkd.start();
    const web = await sandbox(networkd, 'web', 8080);
    host.serve(web.namespacePath, 80);
    const before = await host.run(web.namespacePath, 'ip', '-br', 'addr', 'show', 'eth0');
    const [link = ''] = (await host.run(host.namespace, 'ip', '-br', 'link')).match(/^bx\w+/m) ?? [];
    await comesBackAfter('ip', 'link', 'del', link);
    await logs('interface of a container was deleted by another program: made again');
    expect((await host.run(web.namespacePath, 'ip', '-br', 'addr', 'show', 'eth0')).replace(/@\S+ */, ' ')).toBe(
      before.replace(/@\S+ */, ' '),
    );
    await networkd.controller.removeSandbox(web.id);
    expect(await networkd.controller.listSandboxes()).toEqual([]);
  });

  test('the unmounted name of a namespace is made again while somebody lives inside, else reported', async () => {
    networkd.start();
    const web = await sandbox(networkd, 'web', 8080);
    const empty = await sandbox(networkd, 'empty', 8081);
    const inside = host.spawn(web.namespacePath, 'sleep', ['100']);
    await poll({ everyMs: 20, timeoutMs: 2000 }, () => inside.pid !== undefined || undefined);
    const namespace = await host.run(web.namespacePath, 'readlink', '/proc/self/ns/net');
    unmount(web.namespacePath, { isLazy: true });
    await logs('name of a namespace was unmounted by another program: made again');
    expect(await host.run(web.namespacePath, 'readlink', '/proc/self/ns/net')).toBe(namespace);
    unmount(empty.namespacePath, { isLazy: true });
    await logs('no process is left inside');
    await networkd.controller.removeSandbox(empty.id);
  });

  test('links and namespaces that bear our mark without a record are removed at the start, others are not', async () => {
    networkd.start();
    await networkd.controller.listNetworks();
    const before = await everything(networkd);
    await networkd.kill();
    host.inside(host.namespace, (socket) => {
      for (const [name, alias] of [
        ['stale0', `boxship:one:endpoint:${randomId()}`],
        ['other0', `boxship:two:endpoint:${randomId()}`],
      ] as const)
        socket.execute(newVeth({ name, peer: { name: `${name}p` } }), changeLink(name, { alias }));
    });
    writeFileSync(join(networkd.runDirectory, 'netns', 'stale'), '');
    networkd.start();
    await networkd.controller.listNetworks();
    const links = await host.run(host.namespace, 'ip', '-br', 'link');
    expect(links).not.toContain('stale0');
    expect(links).toContain('other0');
    await host.run(host.namespace, 'ip', 'link', 'del', 'other0');
    await settlesTo(networkd, before);
  });

  test('after a reboot the sandboxes are gone and the networks are there', async () => {
    networkd.start();
    await networkd.controller.createNetwork({ name: 'mine', driver: 'bridge' });
    await sandbox(networkd, 'web', 8080, 'mine');
    await networkd.kill();
    const db = new DatabaseSync(join(host.directory, 'one/state/network.db'));
    db.exec(`UPDATE sandbox SET document = json_set(document, '$.bootId', 'another boot')`);
    db.close();
    networkd.start();
    expect(await networkd.controller.listSandboxes()).toEqual([]);
    expect((await networkd.controller.listNetworks()).map(({ spec }) => spec.name)).toContain('mine');
    await sandbox(networkd, 'web', 8080, 'mine');
  });

  test('a damaged database is put aside and made again; containers keep their network', async () => {
    networkd.start();
    await networkd.controller.createNetwork({ name: 'mine', driver: 'bridge' });
    const web = await sandbox(networkd, 'web', 8080, 'mine');
    const networks = await networkd.controller.listNetworks();
    await networkd.kill();
    const state = join(host.directory, 'one/state');
    rmSync(join(state, 'network.db-wal'), { force: true });
    writeFileSync(join(state, 'network.db'), 'this is no database, though it is long enough for one '.repeat(100));
    networkd.start();
    expect(new Set(await networkd.controller.listNetworks())).toEqual(new Set(networks));
    expect(readdirSync(state).some((name) => name.startsWith('network.db.corrupt-'))).toBe(true);
    expect(networkd.log).toContain('network database is damaged');
    expect(await networkd.controller.listSandboxes()).toEqual([web]);
    host.serve(web.namespacePath, 80);
    expect(await host.ask(host.neighbour, hostAddress, 8080)).toBe('from 10.99.0.2');
  });
});

test('a purged engine leaves nothing, foreign rules as they were', async () => {
  await host.run(host.namespace, 'iptables', '-P', 'FORWARD', 'DROP');
  const rules = await host.run(host.namespace, 'iptables-save', '-t', 'filter');
  networkd.start();
  const web = await sandbox(networkd, 'web', 8080);
  await networkd.controller.createNetwork({ name: 'mine', driver: 'bridge' });
  await networkd.controller.connect(web.id, { network: 'mine' });
  expect(await host.run(host.namespace, 'iptables', '-S', 'FORWARD')).toContain('-j ACCEPT');
  await networkd.kill();
  networkd.start(undefined, ['--purge']);
  expect(await networkd.ended()).toBe(0);
  await settlesTo(networkd, []);
  const withoutDates = (text: string): string => text.replaceAll(/^#.*\n?/gm, '').replaceAll(/\[\d+:\d+\]/g, '');
  expect(withoutDates(await host.run(host.namespace, 'iptables-save', '-t', 'filter'))).toBe(withoutDates(rules));
});

describe('two engines', () => {
  test('live side by side in one namespace', async () => {
    using second = new TestNetworkd(host, 'two');
    networkd.start();
    await networkd.controller.listNetworks();
    second.start();
    const a = await sandbox(networkd, 'a', 8080);
    const b = await sandbox(second, 'b', 8081);
    host.serve(a.namespacePath, 80);
    host.serve(b.namespacePath, 80);
    expect(a.endpoints[0]?.ipv4Gateway).not.toBe(b.endpoints[0]?.ipv4Gateway);
    expect(await host.ask(host.neighbour, hostAddress, 8080)).toBe('from 10.99.0.2');
    expect(await host.ask(host.neighbour, hostAddress, 8081)).toBe('from 10.99.0.2');
    expect(await host.ask(a.namespacePath, b.endpoints[0]?.ipv4Address ?? '', 80)).toBeUndefined();
    await expect(sandbox(second, 'c', 8080)).rejects.toThrow('address already in use');
    await networkd.kill();
    networkd.start();
    await networkd.controller.removeSandbox(a.id);
    expect(await host.ask(host.neighbour, hostAddress, 8081)).toBe('from 10.99.0.2');
    expect((await second.controller.network('bridge')).spec.options['com.docker.network.bridge.name']).toBe('boxship1');
  });

  test('never share a state directory', async () => {
    networkd.start();
    await networkd.controller.listNetworks();
    using twin = new TestNetworkd(host, 'one');
    twin.start();
    expect(await twin.ended()).toBe(1);
    expect(twin.log).toContain('another network controller has');
    expect((await networkd.controller.listNetworks()).length).toBe(3);
  });
});
