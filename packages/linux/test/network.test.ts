/** Namespaces, rtnetlink and nftables against the kernel, inside of namespaces made for the test. */
import { execFileSync } from 'node:child_process';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, readlinkSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  changeLink,
  createNetworkNamespace,
  deleteLink,
  deleteNeighbour,
  deleteRoute,
  findLink,
  intervalElements,
  isErrno,
  isNamespaceFile,
  listAddresses,
  listLinks,
  listNeighbours,
  listRoutes,
  NetlinkSocket,
  NftBatch,
  NftSocket,
  netlinkGroup,
  newAddress,
  newBridge,
  newVeth,
  nftExpression,
  nftField,
  randomLinkIndex,
  removeNetworkNamespace,
  runInNetworkNamespace,
  setNeighbour,
  setRoute,
} from '../src/index.ts';

let directory: string;
let path: string;
let socket: NetlinkSocket;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'boxship-netns-'));
  path = join(directory, 'a');
  socket = createNetworkNamespace(path, () => NetlinkSocket.open(0));
});
afterEach(() => {
  socket[Symbol.dispose]();
  for (const name of ['a', 'b']) removeNetworkNamespace(join(directory, name));
  rmSync(directory, { recursive: true });
});

const nft = (...args: string[]): string => execFileSync('nsenter', [`--net=${path}`, 'nft', ...args]).toString();

describe('network namespaces', () => {
  test('are made, entered, left and removed without moving the process', async () => {
    const home = readlinkSync('/proc/thread-self/ns/net');
    const inside = runInNetworkNamespace(path, () => readlinkSync('/proc/thread-self/ns/net'));
    expect(inside).toBe(`net:[${statSync(path).ino}]`);
    expect(inside).not.toBe(home);
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(home);
    expect(() =>
      runInNetworkNamespace(path, () => {
        throw new Error('inside');
      }),
    ).toThrow('inside');
    expect(readlinkSync('/proc/thread-self/ns/net')).toBe(home);
    expect(() => runInNetworkNamespace(path, () => Promise.resolve())).toThrow('must be synchronous');
    expect(isNamespaceFile(path)).toBe(true);
    removeNetworkNamespace(path);
    removeNetworkNamespace(path);
    expect(existsSync(path)).toBe(false);
    expect(isNamespaceFile(path)).toBe(false);
    // no other thread of the process was taken along
    for (const task of readdirSync('/proc/self/task'))
      expect(readlinkSync(`/proc/self/task/${task}/ns/net`)).toBe(home);
  });

  test('work that fails leaves no namespace', () => {
    const other = join(directory, 'b');
    expect(() =>
      createNetworkNamespace(other, () => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(existsSync(other)).toBe(false);
  });
});

describe('rtnetlink', () => {
  test('bridge, veth across namespaces, addresses, routes, neighbours: made, listed, deleted', async () => {
    const other = join(directory, 'b');
    using inner = createNetworkNamespace(other, () => NetlinkSocket.open(0));
    const fd = openSync(other, 'r');
    const index = randomLinkIndex();
    socket.execute(
      newBridge({ name: 'br0', index, macAddress: '02:42:00:00:00:01', mtu: 1400 }),
      changeLink(index, { isUp: true, alias: 'mine' }),
    );
    socket.execute(
      newVeth({
        name: 'v0',
        masterIndex: index,
        mtu: 1400,
        peer: { name: 'eth0', namespaceFd: fd, macAddress: '02:42:00:00:00:02' },
      }),
      changeLink('v0', { alias: 'port', bridgePort: { isHairpin: true, isIsolated: true } }),
    );
    closeSync(fd);
    expect(findLink(socket, 'br0')).toMatchObject({ index, kind: 'bridge', isUp: true, alias: 'mine', mtu: 1400 });
    expect(findLink(socket, 'v0')).toMatchObject({ kind: 'veth', masterIndex: index, alias: 'port' });
    expect(execFileSync('nsenter', [`--net=${path}`, 'bridge', '-d', 'link']).toString()).toMatch(
      /hairpin on.*isolated on/s,
    );
    const eth0 = findLink(inner, 'eth0')?.index ?? 0;
    expect(findLink(inner, 'eth0')).toMatchObject({ isUp: false, macAddress: '02:42:00:00:00:02' });

    socket.execute(newAddress({ linkIndex: index, address: '10.9.0.1', prefixLength: 24, broadcast: '10.9.0.255' }));
    inner.execute(
      changeLink(eth0, { isUp: true }),
      newAddress({ linkIndex: eth0, address: '10.9.0.2', prefixLength: 24 }),
      newAddress({ linkIndex: eth0, address: 'fd00:9::2', prefixLength: 64 }),
      setRoute({ gateway: '10.9.0.1', linkIndex: eth0 }),
      setRoute({ destination: '10.20.0.0/16', gateway: '10.9.0.3', linkIndex: eth0 }),
      setNeighbour({ linkIndex: eth0, address: '10.9.0.3', macAddress: '02:42:00:00:00:03' }),
    );
    expect(listAddresses(inner, eth0).map(({ address }) => address)).toEqual(
      expect.arrayContaining(['10.9.0.2', 'fd00:9::2']),
    );
    expect(listRoutes(inner)).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ destination: 'default', gateway: '10.9.0.1', family: 4 }),
        expect.objectContaining({ destination: '10.20.0.0/16', gateway: '10.9.0.3' }),
      ]),
    );
    expect(listNeighbours(inner)).toContainEqual({
      linkIndex: eth0,
      address: '10.9.0.3',
      macAddress: '02:42:00:00:00:03',
    });
    inner.execute(
      deleteNeighbour({ linkIndex: eth0, address: '10.9.0.3' }),
      deleteRoute({ destination: '10.20.0.0/16', gateway: '10.9.0.3', linkIndex: eth0 }),
    );
    expect(listNeighbours(inner)).not.toContainEqual(expect.objectContaining({ address: '10.9.0.3' }));
    execFileSync('nsenter', [`--net=${other}`, 'busybox', 'ping', '-c', '1', '-W', '1', '10.9.0.1']);

    await socket.executeAsync(deleteLink('v0'));
    expect(findLink(inner, 'eth0')).toBeUndefined();
    expect(listLinks(socket).map(({ name }) => name)).toEqual(['lo', 'br0']);
  });

  test('a refusal names the request, the errno and the sentence of the kernel; a batch tells which one failed', () => {
    const add = newAddress({ linkIndex: 1, address: '10.9.0.1', prefixLength: 24 });
    const failures = socket.attempt(add, add, changeLink(99, { isUp: true }));
    expect(failures.map(({ index, error }) => [index, error.kind])).toEqual([
      [1, 'alreadyExists'],
      [2, expect.anything()],
    ]);
    expect(failures[0]?.error.message).toMatch(/^netlink add address 10\.9\.0\.1\/24: EEXIST/);
    expect(isErrno(failures[1]?.error, 'ENODEV')).toBe(true);
    expect(() => socket.execute(deleteLink('nosuch'))).toThrow('delete link nosuch');
  });

  test('links of others are not changed when a creation failed in the same batch', () => {
    socket.execute(newBridge({ name: 'br0' }), changeLink('br0', { alias: 'theirs' }));
    const index = randomLinkIndex();
    expect(() => socket.execute(newBridge({ name: 'br0', index }), changeLink(index, { alias: 'ours' }))).toThrow(
      'EEXIST',
    );
    expect(findLink(socket, 'br0')?.alias).toBe('theirs');
  });

  test('tells what happens to links', () => {
    using watcher = runInNetworkNamespace(path, () => NetlinkSocket.open(0));
    watcher.subscribe(netlinkGroup.link);
    socket.execute(newBridge({ name: 'br0' }), deleteLink('br0'));
    expect(new Set(watcher.drain().messages.map(({ type }) => type))).toEqual(new Set([16, 17]));
    expect(watcher.drain()).toEqual({ messages: [], isLossy: false });
  });
});

describe('nftables', () => {
  test('a transaction is applied as a whole or not at all', () => {
    using table = runInNetworkNamespace(path, () => NftSocket.open());
    const before = table.generation();
    const x = nftExpression;
    const batch = new NftBatch('inet', 'mine')
      .addTable()
      .addSet('names', { key: ['interface'] })
      .addSet('nets', { key: ['ipv4'], isInterval: true })
      .addSet('ports', { key: ['protocol', 'port'], data: ['ipv4', 'port'] })
      .addChain('forward', { type: 'filter', hook: 'forward', priority: 0 })
      .addChain('out', { type: 'nat', hook: 'output', priority: -100 })
      .addElements('names', [{ key: x.interfaceName('br0') }])
      .addElements('nets', intervalElements(nftField.address('10.0.0.0'), nftField.address('10.0.0.255')))
      .addElements('ports', [
        {
          key: Buffer.concat([nftField.protocol(6), nftField.port(8080)]),
          data: Buffer.concat([nftField.address('10.0.0.2'), nftField.port(80)]),
        },
      ])
      .addRule('forward', [x.meta(x.metaKey.iifName), x.lookup('names', { isInverted: true }), x.verdict('accept')])
      .addRule('forward', [...x.ctStateIs(x.ctState.established | x.ctState.related), x.counter(), x.verdict('accept')])
      .addRule('out', [
        x.meta(x.metaKey.l4Proto, 8),
        x.payload(2, 2, 2, 9),
        x.lookup('ports', { register: 8, into: 1 }),
        x.dnat(4, { address: 1, port: 9 }),
      ]);
    table.commit(batch);
    expect(table.generation()).not.toBe(before);
    expect(table.tables('inet')).toEqual(['mine']);
    expect(table.chain('inet', 'mine', 'forward')).toEqual({ name: 'forward', hook: 2, policy: 'accept' });
    expect(table.chain('inet', 'mine', 'nosuch')).toBeUndefined();
    const listed = nft('list', 'table', 'inet', 'mine');
    for (const line of [
      'elements = { "br0" }',
      'elements = { 10.0.0.0/24 }',
      'elements = { tcp . 8080 : 10.0.0.2 . 80 }',
      'iifname != @names accept',
      'ct state established,related counter packets 0 bytes 0 accept',
      'dnat ip to meta l4proto . th dport map @ports',
    ])
      expect(listed).toContain(line);

    const rules = table.rules('inet', 'mine', 'forward');
    expect(rules.map(({ expressions }) => expressions.map(({ name }) => name))).toEqual([
      ['meta', 'lookup', 'immediate'],
      ['ct', 'bitwise', 'cmp', 'counter', 'immediate'],
    ]);
    table.commit(new NftBatch('inet', 'mine').deleteRule('forward', rules[0]?.handle ?? 0n));
    expect(table.rules('inet', 'mine', 'forward')).toHaveLength(1);

    const half = new NftBatch('inet', 'mine')
      .addElements('names', [{ key: x.interfaceName('br1') }])
      .deleteElements('names', [{ key: x.interfaceName('nosuch') }]);
    expect(() => table.commit(half)).toThrow('nftables mine: delete from names: ENOENT');
    expect(nft('list', 'table', 'inet', 'mine')).not.toContain('br1');
    table.commit(new NftBatch('inet', 'mine').addTable().deleteTable());
    expect(table.hasTable('inet', 'mine')).toBe(false);
  });

  test('thousands of elements go into one transaction', () => {
    using table = runInNetworkNamespace(path, () => NftSocket.open());
    const ports = Array.from({ length: 5000 }, (_, index) => ({
      key: Buffer.concat([nftField.protocol(6), nftField.port(10_000 + index)]),
    }));
    table.commit(
      new NftBatch('inet', 'many')
        .addTable()
        .addSet('ports', { key: ['protocol', 'port'] })
        .addElements('ports', ports),
    );
    expect(nft('list', 'set', 'inet', 'many', 'ports').match(/tcp \. /g)).toHaveLength(5000);
  });
});
