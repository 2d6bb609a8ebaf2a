/**
 * The nftables driver: one table of our own, replaced as a whole when networks change and after a loss, by single elements when
 * ports do. In process, over netlink: a change takes less than a millisecond.
 */
import type { Logger } from '@boxship/base';
import {
  isErrno,
  listLinks,
  NetlinkSocket,
  NftBatch,
  NftSocket,
  NftWatch,
  netlinkProtocol,
  type SetElement,
} from '@boxship/linux';
import { type Firewall, type FirewallOptions, type FirewallPort, portsWithout } from '../firewall.ts';
import { forgetFlows } from '../flows.ts';
import { admitBridges } from './coexistence.ts';
import { InputPath } from './input-policy.ts';
import { portElements, wholeTable } from './ruleset.ts';

/** How often it is looked whether the kernel told of a foreign change: one call of 2 µs each. */
const watchEveryMs = 250;

export class NftablesFirewall implements Firewall {
  readonly backend = 'nftables';
  readonly #nft: NftSocket;
  readonly #changes: NftWatch;
  readonly #conntrack: NetlinkSocket;
  readonly #options: FirewallOptions;
  readonly #table: string;
  readonly #log: Logger;
  /** Where packets come in anew that INPUT has accepted. */
  readonly #input: InputPath;
  #bridges: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;

  /** Works on the network namespace of the calling thread. */
  constructor(options: FirewallOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#table = `boxship-${options.instanceId}`;
    this.#input = new InputPath(options.instanceId);
    this.#nft = NftSocket.open();
    this.#changes = NftWatch.open(this.#nft.port);
    this.#conntrack = NetlinkSocket.open(netlinkProtocol.netfilter);
  }

  async rebuild(): Promise<void> {
    if (!this.#options.obeysInput && this.#input.isPresent()) this.#nft.commit(...(await this.#input.remove()));
    this.#rebuild();
  }

  #rebuild(): void {
    const state = this.#options.state();
    const input = this.#options.obeysInput ? this.#input.assert() : [];
    this.#nft.commit(wholeTable(new NftBatch('inet', this.#table), state, this.#options), ...input);
    const bridges = state.networks.map(({ bridge }) => bridge);
    admitBridges(this.#nft, bridges, this.#bridges, this.#log);
    this.#bridges = bridges;
  }

  async move(before: readonly FirewallPort[], after: readonly FirewallPort[]): Promise<void> {
    const batch = new NftBatch('inet', this.#table);
    const [old, now] = [portElements(before, this.#options), portElements(after, this.#options)];
    for (const [set, elements] of without(old, now)) batch.deleteElements(set, elements);
    for (const [set, elements] of without(now, old)) batch.addElements(set, elements);
    if (batch.isEmpty) return;
    try {
      this.#nft.commit(batch);
    } catch (error) {
      // somebody flushed or changed our table: the state is the truth
      if (!isErrno(error, 'ENOENT', 'EEXIST', 'EBUSY')) throw error;
      this.#log.warn('firewall table was changed by another program: rebuilt', { error });
      this.#rebuild();
    }
    forgetFlows(this.#conntrack, [...portsWithout(before, after), ...portsWithout(after, before)]);
  }

  /** Rebuilds whenever another program touches our table; keeps up with foreign FORWARD chains. */
  watch(): void {
    this.#timer ??= setInterval(() => {
      try {
        this.#check();
      } catch (error) {
        this.#log.error('firewall check failed', { error });
      }
    }, watchEveryMs).unref();
  }

  #check(): void {
    const { isAny, isTable } = this.#changes.take(this.#table);
    const isPathLost = this.#options.obeysInput && !this.#input.isPresent();
    if (isTable || isPathLost) {
      this.#log.warn('firewall table was changed by another program: rebuilt', { table: this.#table });
      this.#rebuild();
    } else if (isAny) admitBridges(this.#nft, this.#bridges, [], this.#log);
  }

  /** Takes everything out, our rules in foreign chains included. */
  async remove(): Promise<void> {
    clearInterval(this.#timer);
    admitBridges(this.#nft, [], [...this.#bridges, ...this.#bridgesOfInstance()], this.#log);
    this.#nft.commit(new NftBatch('inet', this.#table).addTable().deleteTable(), ...(await this.#input.remove()));
    this.#bridges = [];
  }

  /** Our bridges as the kernel has them: a removal may come before the state is known. */
  #bridgesOfInstance(): string[] {
    using route = NetlinkSocket.open(netlinkProtocol.route);
    const prefix = `boxship:${this.#options.instanceId}:network:`;
    return listLinks(route).flatMap(({ name, alias }) => (alias?.startsWith(prefix) === true ? [name] : []));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#changes[Symbol.dispose]();
    this.#nft[Symbol.dispose]();
    this.#conntrack[Symbol.dispose]();
  }
}

type Elements = ReadonlyMap<string, readonly SetElement[]>;

/** The elements that the others do not have, by set. */
function* without(elements: Elements, others: Elements): Generator<[set: string, elements: readonly SetElement[]]> {
  const keyOf = ({ key, data }: SetElement): string => `${key.toString('hex')} ${data?.toString('hex') ?? ''}`;
  for (const [set, list] of elements) {
    const known = new Set(others.get(set)?.map(keyOf));
    const left = known.size === 0 ? list : list.filter((element) => !known.has(keyOf(element)));
    if (left.length > 0) yield [set, left];
  }
}
