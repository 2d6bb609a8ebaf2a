/** Gives sandboxes host ports: chooses the numbers, books them, holds them with listeners. The rules are the firewall's. */
import { readFileSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import type { PortRequest, PublishedPort } from '../controller.ts';
import { familyOf } from '../firewall/firewall.ts';
import { readSysctl } from '../sysctl.ts';
import { PortLedger, withBrackets } from './ledger.ts';
import { listenPort } from './listener.ts';
import type { PortListener, PortTarget } from './port-listener.ts';

/** How many numbers in use by other programs are skipped before a search is given up. */
const maxForeign = 64;

interface Held {
  readonly port: PublishedPort;
  readonly listener: PortListener | undefined;
}

/** How a port is reached: by a number of the host, at the container's own address (its number then is 0), or not at all. */
export type PortWay = 'host' | 'own' | 'none';

export class PortPublisher implements Disposable {
  readonly #ledger = new PortLedger();
  readonly #held = new Map<string, Held[]>();
  #lastEphemeral = 0;
  readonly #hasIPv6 = remembered(1000, () => readSysctl('net/ipv6/conf/all/disable_ipv6') === '0');

  /**
   * Books and holds every port requested, beside those that the owner has; all or none.
   * @param hostIp the address that stands for "every address" on this network, e.g. `0.0.0.0`
   * @param isHeld somebody else listens on the numbers: they are booked only
   * @throws unknown with Docker's texts when a port is taken
   */
  async allocate(
    owner: string,
    requests: readonly PortRequest[],
    hostIp: string,
    wayOf: (family: 4 | 6) => PortWay = () => 'host',
    isHeld = false,
  ): Promise<PublishedPort[]> {
    const before = this.#held.get(owner) ?? [];
    const added = (): PublishedPort[] => (this.#held.get(owner) ?? []).slice(before.length).map(({ port }) => port);
    this.#held.set(owner, [...before]);
    const everywhere = hostIp === '0.0.0.0' && this.#hasIPv6() ? ['0.0.0.0', '::'] : [hostIp];
    try {
      for (const request of requests) {
        const { protocol, containerPort } = request;
        const addresses = request.hostIp === '' ? everywhere : [request.hostIp];
        for (const hostIp of addresses.filter((address) => wayOf(familyOf(address)) === 'own'))
          this.#hold(owner, { port: { protocol, containerPort, hostIp, hostPort: 0 }, listener: undefined });
        const ofHost = addresses.filter((address) => wayOf(familyOf(address)) === 'host');
        if (ofHost.length > 0) await this.#allocateOne(owner, request, ofHost, isHeld);
      }
      return added();
    } catch (error) {
      this.release(owner, added());
      throw error;
    }
  }

  /** Takes over ports found in the store at start. A port somebody else listens on meanwhile is still ours in the kernel. */
  async restore(owner: string, ports: readonly PublishedPort[], isHeld = false): Promise<PublishedPort[]> {
    const unheld: PublishedPort[] = [];
    for (const port of ports) {
      if (port.hostPort === 0) {
        this.#hold(owner, { port, listener: undefined });
        continue;
      }
      this.#ledger.claim(port.protocol, port.hostIp, port.hostPort, owner);
      let listener: PortListener | undefined;
      try {
        if (!isHeld) listener = await listenPort(port.protocol, port.hostIp, port.hostPort);
      } catch {
        unheld.push(port);
      }
      this.#hold(owner, { port, listener });
    }
    return unheld;
  }

  /** Where connections that reach the listeners go; undefined: nowhere. */
  direct(owner: string, addresses: { ipv4: string; ipv6: string } | undefined): void {
    for (const { port, listener } of this.#held.get(owner) ?? []) {
      if (listener === undefined) continue;
      const address =
        addresses === undefined ? '' : port.hostIp.includes(':') ? addresses.ipv6 || addresses.ipv4 : addresses.ipv4;
      listener.target = address === '' ? undefined : ({ address, port: port.containerPort } satisfies PortTarget);
    }
  }

  /** Gives back some ports of an owner; without a list all. */
  release(owner: string, ports?: readonly PublishedPort[]): void {
    const kept: Held[] = [];
    for (const held of this.#held.get(owner) ?? []) {
      const { port, listener } = held;
      if (ports?.some((other) => isSamePort(other, port)) === false) {
        kept.push(held);
        continue;
      }
      listener?.[Symbol.dispose]();
      this.#ledger.release(port.protocol, port.hostIp, port.hostPort, owner);
    }
    if (kept.length === 0) this.#held.delete(owner);
    else this.#held.set(owner, kept);
  }

  [Symbol.dispose](): void {
    for (const owner of [...this.#held.keys()]) this.release(owner);
  }

  #hold(owner: string, held: Held): void {
    const list = this.#held.get(owner);
    if (list === undefined) this.#held.set(owner, [held]);
    else list.push(held);
  }

  async #allocateOne(
    owner: string,
    request: PortRequest,
    addresses: readonly string[],
    isHeld: boolean,
  ): Promise<void> {
    const isChoice = request.hostPort === 0 || (request.hostPortEnd ?? 0) > request.hostPort;
    let foreign = 0;
    let lastError: unknown;
    for (const hostPort of this.#candidates(request)) {
      try {
        await this.#take(owner, request, addresses, { hostPort, isHeld });
        if (request.hostPort === 0) this.#lastEphemeral = hostPort;
        return;
      } catch (error) {
        if (!isChoice) throw error;
        lastError = error;
        if (BoxshipError.is(error) && error.details['code'] !== undefined && ++foreign >= maxForeign) break;
      }
    }
    throw lastError ?? new BoxshipError('unknown', 'all ports are allocated');
  }

  /** One number on all addresses, or none of them. */
  async #take(
    owner: string,
    request: PortRequest,
    addresses: readonly string[],
    { hostPort, isHeld }: { readonly hostPort: number; readonly isHeld: boolean },
  ): Promise<void> {
    const { protocol, containerPort } = request;
    const claimed: string[] = [];
    const listeners: PortListener[] = [];
    try {
      for (const address of addresses) {
        this.#ledger.claim(protocol, address, hostPort, owner);
        claimed.push(address);
      }
      for (const address of isHeld ? [] : addresses) listeners.push(await listen(protocol, address, hostPort));
    } catch (error) {
      for (const listener of listeners) listener[Symbol.dispose]();
      for (const address of claimed) this.#ledger.release(protocol, address, hostPort, owner);
      throw error;
    }
    for (const [index, hostIp] of addresses.entries())
      this.#hold(owner, { port: { protocol, containerPort, hostIp, hostPort }, listener: listeners[index] });
  }

  *#candidates(request: PortRequest): Generator<number> {
    if (request.hostPort !== 0) {
      for (let port = request.hostPort; port <= Math.max(request.hostPort, request.hostPortEnd ?? 0); port++)
        yield port;
      return;
    }
    const { first, last } = ephemeralRange();
    const count = last - first + 1;
    const start = this.#lastEphemeral < first || this.#lastEphemeral >= last ? first : this.#lastEphemeral + 1;
    for (let step = 0; step < count; step++) yield first + ((start - first + step) % count);
  }
}

async function listen(protocol: PortRequest['protocol'], address: string, port: number): Promise<PortListener> {
  try {
    return await listenPort(protocol, address, port);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const reason =
      {
        EADDRINUSE: 'address already in use',
        EADDRNOTAVAIL: 'cannot assign requested address',
        EACCES: 'permission denied',
      }[code] ?? String(error);
    // Docker's text
    throw new BoxshipError(
      'unknown',
      `Error starting userland proxy: listen ${protocol}${address.includes(':') ? '6' : '4'} ${withBrackets(address)}:${port}: bind: ${reason}`,
      { cause: error, details: { code } },
    );
  }
}

export const isSamePort = (a: PublishedPort, b: PublishedPort): boolean =>
  a.protocol === b.protocol &&
  a.hostPort === b.hostPort &&
  a.hostIp === b.hostIp &&
  a.containerPort === b.containerPort;

/** Asked for at every port, and changed once in the life of a host. */
function remembered<T>(forMs: number, ask: () => T): () => T {
  let answer: { readonly value: T; readonly at: number } | undefined;
  return () => {
    const now = performance.now();
    if (answer === undefined || now - answer.at > forMs) answer = { value: ask(), at: now };
    return answer.value;
  };
}

/** The kernel's own range for ports without a number; Docker takes the same. */
function ephemeralRange(): { first: number; last: number } {
  const [first, last] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').trim().split(/\s+/).map(Number);
  return first !== undefined && last !== undefined && first > 0 && last >= first
    ? { first, last }
    : { first: 49_153, last: 65_535 };
}
