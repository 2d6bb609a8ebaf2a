/**
 * One network namespace is kept ready for the next sandbox: making one takes the kernel longer than all that is done in it. It has
 * no name and belongs to nobody but this process, so it ends with it: there is nothing to recover.
 */
import { closeSync } from 'node:fs';
import { changeLink, NetlinkSocket, netlinkProtocol, openNetworkNamespace } from '@boxship/linux';
import { writeSysctl } from '../sysctl.ts';

export const loopbackIndex = 1;

/** When none is asked for: a burst of sandboxes is not held up by what is made in advance. */
const quietMs = 10;

/** A namespace has the parameters that its host had when it was made (net.ipv4.conf, tcp_congestion_control …). */
const maxAgeMs = 10_000;

interface BareNamespace {
  readonly fd: number;
  /** A socket of it. */
  readonly route: NetlinkSocket;
}

export class SpareNamespaces implements Disposable {
  #spare: BareNamespace | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  /** Its loopback is up, its IPv6 off. The caller owns both descriptors. */
  take(): BareNamespace {
    const taken = this.#spare ?? makeBare();
    this.#spare = undefined;
    if (!this.#isDisposed) this.#after(quietMs, () => this.#prepare());
    return taken;
  }

  #prepare(): void {
    try {
      this.#spare = makeBare();
    } catch {
      return; // whoever needs one makes it, and is told why it cannot be
    }
    this.#after(maxAgeMs, () => this.#drop());
  }

  #drop(): void {
    if (this.#spare === undefined) return;
    this.#spare.route[Symbol.dispose]();
    closeSync(this.#spare.fd);
    this.#spare = undefined;
  }

  #after(delayMs: number, work: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(work, delayMs).unref();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
    this.#drop();
  }
}

function makeBare(): BareNamespace {
  const { fd, result: route } = openNetworkNamespace(() => {
    writeSysctl('net/ipv6/conf/all/disable_ipv6', '1');
    return NetlinkSocket.open(netlinkProtocol.route);
  });
  try {
    route.execute(changeLink(loopbackIndex, { isUp: true }));
    return { fd, route };
  } catch (error) {
    route[Symbol.dispose]();
    closeSync(fd);
    throw error;
  }
}
