/**
 * Keeps the kernel's rules equal to the controller's state: whole table when networks change and after a loss, single elements
 * when ports do. Watches for others flushing the rule set.
 */
import type { Logger } from '@boxship/base';
import {
  deleteConnections,
  isErrno,
  NetlinkSocket,
  NftBatch,
  NftSocket,
  NftWatch,
  netlinkProtocol,
} from '@boxship/linux';
import { admitBridges } from './coexistence.ts';
import { type FirewallPort, type FirewallState, portElements, protocolNumber, wholeTable } from './ruleset.ts';

/** How often it is looked whether the kernel told of a foreign change: one call of 2 µs each. */
const watchEveryMs = 250;

export interface FirewallOptions {
  readonly table: string;
  /** The state that the rules are to express, asked for whenever they are rebuilt. */
  readonly state: () => FirewallState;
  readonly log: Logger;
}

export class Firewall implements Disposable {
  readonly #nft: NftSocket;
  readonly #changes: NftWatch;
  readonly #conntrack: NetlinkSocket;
  readonly #options: FirewallOptions;
  #bridges: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Works on the network namespace of the calling thread. */
  constructor(options: FirewallOptions) {
    this.#options = options;
    this.#nft = NftSocket.open();
    this.#changes = NftWatch.open(this.#nft.port);
    this.#conntrack = NetlinkSocket.open(netlinkProtocol.netfilter);
  }

  /** Replaces the whole table in one transaction: no moment without rules, connections live on. */
  rebuild(): void {
    const state = this.#options.state();
    this.#nft.commit(wholeTable(new NftBatch('inet', this.#options.table), state));
    const bridges = state.networks.map(({ bridge }) => bridge);
    admitBridges(this.#nft, bridges, this.#bridges, this.#options.log);
    this.#bridges = bridges;
  }

  publish(ports: readonly FirewallPort[]): void {
    this.move([], ports);
  }

  withdraw(ports: readonly FirewallPort[]): void {
    this.move(ports, []);
  }

  /** Replaces ports in one transaction, e.g. when the gateway of a sandbox moves. */
  move(before: readonly FirewallPort[], after: readonly FirewallPort[]): void {
    const batch = new NftBatch('inet', this.#options.table);
    for (const [set, elements] of portElements(before)) batch.deleteElements(set, elements);
    for (const [set, elements] of portElements(after)) batch.addElements(set, elements);
    if (batch.isEmpty) return;
    try {
      this.#nft.commit(batch);
    } catch (error) {
      // somebody flushed or changed our table: the state is the truth
      if (!isErrno(error, 'ENOENT', 'EEXIST', 'EBUSY')) throw error;
      this.#options.log.warn('firewall table was changed by another program: rebuilt', { error });
      this.rebuild();
    }
    this.#forgetFlows([...before, ...after]);
  }

  /** Clients that keep sending UDP would go on to reach what the port meant before. */
  #forgetFlows(ports: readonly FirewallPort[]): void {
    const numbers = new Set(ports.filter(({ protocol }) => protocol === 'udp').map(({ hostPort }) => hostPort));
    for (const number of numbers) deleteConnections(this.#conntrack, protocolNumber.udp, number);
  }

  /** Rebuilds whenever another program touches our table; keeps up with foreign FORWARD chains. */
  watch(): void {
    this.#timer ??= setInterval(() => {
      try {
        this.#check();
      } catch (error) {
        this.#options.log.error('firewall check failed', { error });
      }
    }, watchEveryMs).unref();
  }

  #check(): void {
    const { isAny, isTable } = this.#changes.take('inet', this.#options.table);
    if (isTable) {
      this.#options.log.warn('firewall table was changed by another program: rebuilt', { table: this.#options.table });
      this.rebuild();
    } else if (isAny) admitBridges(this.#nft, this.#bridges, [], this.#options.log);
  }

  /** Takes everything out, our rules in foreign chains included. */
  remove(): void {
    clearInterval(this.#timer);
    admitBridges(this.#nft, [], this.#bridges, this.#options.log);
    this.#nft.commit(new NftBatch('inet', this.#options.table).addTable().deleteTable());
    this.#bridges = [];
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#changes[Symbol.dispose]();
    this.#nft[Symbol.dispose]();
    this.#conntrack[Symbol.dispose]();
  }
}
