/**
 * A host of its own for each test run: a fresh network namespace with an uplink to a neighbour on a "LAN" (10.99.0.0/24), in
 * which a controller works as on a machine. Part of the package so that other drivers and other programs can be put under the
 * same suite.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import {
  changeLink,
  createNetworkNamespace,
  findLink,
  listLinks,
  NetlinkSocket,
  NftSocket,
  newAddress,
  newVeth,
  removeNetworkNamespace,
  runInNetworkNamespace,
  setRoute,
} from '@boxship/linux';

export const hostAddress = '10.99.0.1';
export const neighbourAddress = '10.99.0.2';

export class TestHost implements AsyncDisposable {
  readonly directory: string;
  /** Namespace of the host, for `nsenter --net=`. */
  readonly namespace: string;
  /** Namespace of a machine on the same LAN. */
  readonly neighbour: string;
  readonly #children: ChildProcess[] = [];
  readonly #servers: Server[] = [];

  constructor() {
    this.directory = mkdtempSync('/tmp/boxship-network-');
    this.namespace = join(this.directory, 'host.ns');
    this.neighbour = join(this.directory, 'neighbour.ns');
    createNetworkNamespace(this.namespace, () => {});
    createNetworkNamespace(this.neighbour, () => {});
    const fd = openSync(this.neighbour, 'r');
    this.inside(this.namespace, (socket) => {
      socket.execute(changeLink(1, { isUp: true }), newVeth({ name: 'up0', peer: { name: 'lan0', namespaceFd: fd } }));
      const index = findLink(socket, 'up0')?.index ?? 0;
      socket.execute(newAddress({ linkIndex: index, address: hostAddress, prefixLength: 24 }));
    });
    closeSync(fd);
    this.inside(this.neighbour, (socket) => {
      const index = findLink(socket, 'lan0')?.index ?? 0;
      socket.execute(
        changeLink(1, { isUp: true }),
        changeLink(index, { isUp: true }),
        newAddress({ linkIndex: index, address: neighbourAddress, prefixLength: 24 }),
        setRoute({ gateway: hostAddress, linkIndex: index }),
      );
    });
  }

  /** Synchronous netlink work in a namespace. */
  inside<T>(namespace: string, work: (socket: NetlinkSocket) => T): T {
    return runInNetworkNamespace(namespace, () => {
      using socket = NetlinkSocket.open(0);
      return work(socket);
    });
  }

  /** A TCP server in a namespace that tells each client the client's address, then closes. */
  serve(namespace: string, port: number): Server {
    const server = createServer((socket) => {
      socket.on('error', () => {}); // the client left first
      socket.end(`from ${socket.remoteAddress?.replace('::ffff:', '')}\n`);
    });
    this.#servers.push(server);
    // without a host name Node binds at once, inside
    return runInNetworkNamespace(namespace, () => server.listen(port));
  }

  /** Output of a command in a namespace; rejects when it fails or takes longer than 5 s. */
  run(namespace: string, command: string, ...args: readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const all = [`--net=${namespace}`, command, ...args];
      const child = execFile('nsenter', all, { timeout: 5000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
        if (error === null) resolve(stdout.trim());
        else reject(new Error(`${command} ${args.join(' ')}: ${stderr || error.message}`));
      });
      child.stdin?.end();
    });
  }

  /** What a TCP server answers to a client in a namespace; undefined when it cannot be reached within a second. */
  async ask(namespace: string, address: string, port: number): Promise<string | undefined> {
    try {
      return (await this.run(namespace, 'busybox', 'nc', '-w', '1', address, String(port))) || undefined;
    } catch {
      return undefined; // refused or timed out
    }
  }

  /**
   * Milliseconds until a TCP server gives the answer. Asked anew all the time: a try that the kernel drops lasts a second.
   * @throws when it has not answered in three times the two seconds promised
   */
  async backAfter(server: { namespace: string; address: string; port: number; answer: string }): Promise<number> {
    const start = performance.now();
    let tookMs: number | undefined;
    const tries: Promise<void>[] = [];
    await poll({ everyMs: 50, timeoutMs: 6000 }, () => {
      const answered = this.ask(server.namespace, server.address, server.port).then((answer) => {
        if (answer === server.answer) tookMs ??= performance.now() - start;
      });
      tries.push(answered);
      return tookMs;
    });
    await Promise.all(tries);
    if (tookMs === undefined) throw new Error(`no answer "${server.answer}" at ${server.address}:${server.port}`);
    return Math.round(tookMs);
  }

  async canPing(namespace: string, address: string): Promise<boolean> {
    try {
      // one of three: the first may fall into the moment in which a link comes up
      await this.run(namespace, 'ping', '-c', '3', '-i', '0.2', '-W', '1', address);
      return true;
    } catch {
      return false; // no answer
    }
  }

  /** A program of the host that ends with it. */
  spawn(namespace: string, command: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn('nsenter', [`--net=${namespace}`, command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    this.#children.push(child);
    return child;
  }

  /** What of an engine there is in the host: links, tables, namespace files. */
  census(runDirectories: readonly string[]): string[] {
    const links = this.inside(this.namespace, (socket) =>
      listLinks(socket)
        .filter((link) => link.alias?.startsWith('boxship:') === true || link.name.startsWith('bx'))
        .map((link) => `link ${link.name} ${link.alias}`),
    );
    const tables = runInNetworkNamespace(this.namespace, () => {
      using nft = NftSocket.open();
      return nft.tables('inet').map((name) => `table ${name}`);
    });
    const names = runDirectories.flatMap((directory) => {
      try {
        return readdirSync(join(directory, 'netns')).map((name) => `netns ${name}`);
      } catch {
        return []; // never made
      }
    });
    return [...links, ...tables, ...names].sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const server of this.#servers) server.close();
    await Promise.all(
      this.#children.map((child) => {
        if (child.exitCode !== null || child.signalCode !== null) return undefined;
        const { promise, resolve } = Promise.withResolvers<void>();
        child.once('exit', () => resolve());
        child.kill('SIGKILL');
        return promise;
      }),
    );
    for (const directory of this.#runDirectories())
      for (const name of readdirSync(directory)) removeNetworkNamespace(join(directory, name));
    removeNetworkNamespace(this.namespace);
    removeNetworkNamespace(this.neighbour);
    rmSync(this.directory, { recursive: true, force: true });
  }

  #runDirectories(): string[] {
    return readdirSync(this.directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isDirectory() && entry.name === 'netns')
      .map((entry) => join(entry.parentPath, entry.name));
  }
}
