/**
 * Several hosts on one LAN (10.98.0.0/24) and an etcd beside them, each in a namespace of its own: for controllers that have
 * networks in common.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import {
  changeLink,
  createNetworkNamespace,
  findLink,
  NetlinkSocket,
  newAddress,
  newBridge,
  newVeth,
  removeNetworkNamespace,
  runInNetworkNamespace,
} from '@boxship/linux';
import { TestHost } from './test-host.ts';

const etcdAddress = '10.98.0.254';
export const etcdUrl = `etcd://${etcdAddress}:2379`;

const base64 = (text: string): string => Buffer.from(text).toString('base64');

export class TestCluster implements AsyncDisposable {
  readonly hosts: readonly TestHost[];
  readonly #directory = mkdtempSync('/tmp/boxship-cluster-');
  readonly #lan = join(this.#directory, 'lan.ns');
  #etcd: ChildProcess | undefined;

  constructor(size: number) {
    createNetworkNamespace(this.#lan, () => {});
    this.#inside(this.#lan, (socket) => {
      socket.execute(changeLink(1, { isUp: true }), newBridge({ name: 'lan0' }));
      const index = findLink(socket, 'lan0')?.index ?? 0;
      socket.execute(
        changeLink(index, { isUp: true }),
        newAddress({ linkIndex: index, address: etcdAddress, prefixLength: 24 }),
      );
    });
    this.hosts = Array.from({ length: size }, () => new TestHost());
    for (const [index, host] of this.hosts.entries()) this.plug(host.namespace, index);
  }

  /** Gives a namespace the interface `lan0` with the address 10.98.0.(number + 1). */
  plug(namespace: string, number: number): void {
    const fd = openSync(namespace, 'r');
    this.#inside(this.#lan, (socket) => {
      const masterIndex = findLink(socket, 'lan0')?.index ?? 0;
      socket.execute(newVeth({ name: `port${number}`, masterIndex, peer: { name: 'lan0', namespaceFd: fd } }));
    });
    closeSync(fd);
    this.#inside(namespace, (socket) => {
      const index = findLink(socket, 'lan0')?.index ?? 0;
      socket.execute(
        changeLink(index, { isUp: true }),
        newAddress({ linkIndex: index, address: this.addressOf(number), prefixLength: 24 }),
      );
    });
  }

  addressOf(number: number): string {
    return `10.98.0.${number + 1}`;
  }

  /** Pulls the plug of a host, or puts it back. */
  setPlugged(number: number, isUp: boolean): void {
    this.#inside(this.#lan, (socket) => socket.execute(changeLink(`port${number}`, { isUp })));
  }

  async startEtcd(): Promise<void> {
    const url = `http://${etcdAddress}:2379`;
    const peers = 'http://127.0.0.1:2380';
    const args = [
      ...['--data-dir', join(this.#directory, 'etcd'), '--logger', 'zap', '--log-level', 'error'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peers, '--initial-advertise-peer-urls', peers, '--initial-cluster', `default=${peers}`],
    ];
    this.#etcd = spawn('nsenter', [`--net=${this.#lan}`, 'etcd', ...args], { stdio: 'ignore' });
    const isUp = await poll({ everyMs: 50, timeoutMs: 15_000 }, async () => {
      const answer = await this.etcd('health').catch(() => '');
      return answer.includes('"true"') || undefined;
    });
    if (isUp === undefined) throw new Error('etcd does not answer');
  }

  async stopEtcd(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const etcd = this.#etcd;
    if (etcd === undefined || etcd.exitCode !== null || etcd.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    etcd.once('exit', () => resolve());
    etcd.kill(signal);
    await promise;
  }

  /** Asks etcd over its JSON gateway. */
  async etcd(path: string, body?: object): Promise<string> {
    const data = body === undefined ? [] : ['-d', JSON.stringify(body)];
    const host = this.hosts[0] as TestHost;
    return await host.run(this.#lan, 'curl', '-s', '--max-time', '3', ...data, `http://${etcdAddress}:2379/${path}`);
  }

  /** Every key of the engines, with its text. */
  async entries(): Promise<Map<string, string>> {
    const plain = (text = ''): string => Buffer.from(text, 'base64').toString();
    const range = { key: base64('boxship/'), range_end: base64('boxship0') };
    const { kvs = [] } = JSON.parse(await this.etcd('v3/kv/range', range)) as {
      kvs?: { key: string; value?: string }[];
    };
    return new Map(kvs.map(({ key, value }) => [plain(key), plain(value)]));
  }

  /** Changes a key that means nothing to the engines: more often, and by more, than a watch that is not read can hold. */
  async overflow(): Promise<void> {
    const put = { key: base64('boxship/hosts/nobody'), value: base64('.'.repeat(10_000)) };
    const file = join(this.#directory, 'put.json');
    writeFileSync(file, JSON.stringify(put));
    const host = this.hosts[0] as TestHost;
    // the number behind the hash is curl's way to ask 200 times
    const url = `http://${etcdAddress}:2379/v3/kv/put#[1-200]`;
    await host.run(
      this.#lan,
      'curl',
      '-sf',
      '-Z',
      '--parallel-max',
      '100',
      '--max-time',
      '5',
      '-o',
      '/dev/null',
      '-d',
      `@${file}`,
      url,
    );
    await this.etcd('v3/kv/deleterange', { key: put.key });
  }

  /** Makes etcd forget its history. */
  async compact(): Promise<void> {
    const { header } = JSON.parse(await this.etcd('v3/kv/range', { key: 'AA==' })) as { header: { revision: string } };
    await this.etcd('v3/kv/compaction', { revision: header.revision, physical: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopEtcd();
    for (const host of this.hosts) await host[Symbol.asyncDispose]();
    removeNetworkNamespace(this.#lan);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #inside(namespace: string, work: (socket: NetlinkSocket) => void): void {
    runInNetworkNamespace(namespace, () => {
      using socket = NetlinkSocket.open(0);
      work(socket);
    });
  }
}
