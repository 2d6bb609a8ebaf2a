/** The resolvers of all sandboxes that have one: opened with them, found again at the start, closed before the namespace goes. */
import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import type { Logger } from '@boxship/base';
import { isErrno, runInNetworkNamespace } from '@boxship/linux';
import { parseExtraHost } from '../files/extra-host.ts';
import { HostResolvConf } from '../files/host-resolv-conf.ts';
import type { SandboxRecord } from '../model.ts';
import type { State } from '../state.ts';
import type { Upstream } from './exchange.ts';
import type { ExtraHosts } from './lookup.ts';
import { redirect } from './redirect.ts';
import { Resolver } from './resolver.ts';
import { openSockets, resolverAddress, type ServerSockets, serve } from './server.ts';

const dnsPort = 53;
const firstPort = 32_768;
const portCount = 28_000;
/** Ports tried when a program of the container holds ours while no controller lives. */
const maxTries = 16;

export class DnsService implements Disposable {
  readonly #servers = new Map<string, Disposable>();
  readonly #host = new HostResolvConf();
  readonly #state: State;
  readonly #log: Logger;
  readonly #hostGateway: () => string;

  constructor(options: { readonly state: State; readonly log: Logger; readonly hostGateway: () => string }) {
    this.#state = options.state;
    this.#log = options.log;
    this.#hostGateway = options.hostGateway;
  }

  /** Serves the sandbox at 127.0.0.11. One that is served already goes on as it is. @throws the kernel's refusal */
  start(record: SandboxRecord): void {
    const { id } = record.spec;
    if (this.#servers.has(id)) return;
    const sockets = runInNetworkNamespace(record.namespacePath, () => {
      const { port, ...opened } = openFirst(portsOf(id));
      redirect(port);
      return opened;
    });
    const resolver = new Resolver({
      names: this.#state.names,
      record: () => this.#state.sandboxes.get(id),
      extraHosts: this.#extraHostsOf(record),
      upstreams: () => this.#upstreamsOf(record),
      keepsWords: () => hasNdots(record.spec.dns?.options ?? []) || hasNdots(this.#host.options()),
      log: this.#log,
    });
    this.#servers.set(
      id,
      serve(sockets, (message, transport) => resolver.answer(message, transport)),
    );
  }

  /** Open sockets keep a namespace alive: call it before the namespace is removed. */
  stop(id: string): void {
    this.#servers.get(id)?.[Symbol.dispose]();
    this.#servers.delete(id);
  }

  has(id: string): boolean {
    return this.#servers.has(id);
  }

  [Symbol.dispose](): void {
    for (const id of [...this.#servers.keys()]) this.stop(id);
  }

  /** Servers of `--dns` are asked from the sandbox, which may reach what the host does not; the host's from the host. */
  #upstreamsOf(record: SandboxRecord): Upstream[] {
    const own = record.spec.dns?.servers ?? [];
    if (own.length === 0)
      return this.#host
        .servers()
        .filter(isPlainAddress)
        .map((address) => ({ address, port: dnsPort, namespacePath: undefined }));
    return own
      .filter((address) => isPlainAddress(address) && address !== resolverAddress) // it would ask itself
      .map((address) => ({ address, port: dnsPort, namespacePath: record.namespacePath }));
  }

  #extraHostsOf(record: SandboxRecord): ExtraHosts {
    const hosts = new Map<string, string[]>();
    for (const entry of record.spec.extraHosts ?? []) {
      const { name, address } = parseExtraHost(entry);
      const list = hosts.get(name.toLowerCase()) ?? [];
      list.push(address === 'host-gateway' ? this.#hostGateway() : address);
      hosts.set(name.toLowerCase(), list);
    }
    return hosts;
  }
}

/** Without a zone: that would mean a link of the other namespace. */
const isPlainAddress = (text: string): boolean => isIP(text) !== 0 && !text.includes('%');

/** Where the resolver of a sandbox listens: the same place in every life of the controller, so that its rules stay right. */
function* portsOf(id: string): Generator<number> {
  const start = createHash('sha256').update(id).digest().readUInt32BE(0);
  for (let step = 0; step < maxTries; step++) yield firstPort + ((start + step) % portCount);
}

function openFirst(ports: Iterable<number>): ServerSockets & { port: number } {
  let lastError: unknown;
  for (const port of ports) {
    try {
      return { ...openSockets(port), port };
    } catch (error) {
      if (!isErrno(error, 'EADDRINUSE')) throw error;
      lastError = error;
    }
  }
  throw lastError;
}

const hasNdots = (options: readonly string[]): boolean => options.some((option) => /^ndots:[1-9]/.test(option));
