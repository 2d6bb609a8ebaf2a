/**
 * This engine as a member of a cluster: several engines that meet in a store and have their overlay networks in common. Puts the
 * parts together: the session keeps the connection, the view knows, the settlement makes kernel and names follow.
 */
import type { Logger } from '@boxship/base';
import type { Context } from '../context.ts';
import type { Endpoint, EndpointSpec, Network, NetworkSpec } from '../controller.ts';
import type { GivenAddresses } from '../ipam/addresses.ts';
import { claimAddresses, releaseAddresses } from './addresses.ts';
import { define, forget } from './definitions.ts';
import { announce, bringTogether } from './endpoints.ts';
import { EtcdStore } from './etcd.ts';
import type { ClusterMembership } from './membership.ts';
import type { ClusterParts } from './parts.ts';
import { ClusterSession } from './session.ts';
import type { ClusterSettings, Underlay } from './settings.ts';
import { Settlement } from './settle.ts';
import type { Listing, StoreEvent } from './store.ts';
import { ClusterView } from './view.ts';

export interface ClusterOptions {
  readonly settings: ClusterSettings;
  readonly underlay: Underlay;
  readonly context: () => Context;
  readonly engine: string;
  readonly log: Logger;
}

/** How long a start waits for the store: containers of other hosts are known by name from the beginning. */
const patienceMs = 2000;

export class Cluster implements ClusterMembership {
  readonly #options: ClusterOptions;
  readonly #parts: ClusterParts;
  readonly #settlement: Settlement;
  #session: ClusterSession | undefined;
  /** Changes of the set of networks, one after the other. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: ClusterOptions) {
    const { settings, underlay, context, engine, log } = options;
    this.#options = options;
    this.#parts = {
      store: new EtcdStore(settings.etcd),
      view: new ClusterView(log),
      context,
      engine,
      host: underlay.address,
      lease: () => this.#session?.lease,
      pending: new Set(),
      settle: (network) => this.#settlement.peers(network),
    };
    this.#settlement = new Settlement(this.#parts);
  }

  /** Connects, and stays connected. Gives up waiting, not trying, after a moment. */
  async start(): Promise<void> {
    const { settings, log } = this.#options;
    this.#session = new ClusterSession({
      store: this.#parts.store,
      heartbeatSeconds: settings.heartbeatSeconds,
      ttlSeconds: settings.ttlSeconds,
      log,
      onBegin: (listing, lease) => this.#begin(listing, lease),
      onEvents: (events) => this.#take(events),
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    await Promise.race([this.#session.tried, promise]);
    clearTimeout(timer);
  }

  define(draft: Network, asked: NetworkSpec): Promise<Network> {
    return define(this.#parts, draft, asked);
  }

  forget(network: Network): Promise<void> {
    return forget(this.#parts, network);
  }

  claim(network: Network, spec: EndpointSpec): Promise<GivenAddresses> {
    return claimAddresses(this.#parts, network, spec);
  }

  release(endpoint: Pick<Endpoint, 'networkId' | 'ipv4Address' | 'ipv6Address'>): Promise<void> {
    return releaseAddresses(this.#parts, endpoint);
  }

  announce(endpoint: Endpoint): Promise<void> {
    return announce(this.#parts, endpoint);
  }

  /** The tunnel of a network was made: it knows nobody yet. */
  fillTunnel(network: Network): void {
    this.#settlement.peers(network.id);
  }

  /** Ends the connection; what the others know of this engine stays until its lease is over. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session?.[Symbol.asyncDispose]();
    await this.#work;
    this.#session = undefined;
    this.#parts.store[Symbol.dispose]();
  }

  async #begin(listing: Listing, lease: bigint): Promise<void> {
    const { view, context } = this.#parts;
    const touched = view.replace(listing.entries);
    for (const { network } of context().state.networks.values())
      if (network.spec.driver === 'overlay') touched.add(network.id);
    await bringTogether(this.#parts, lease);
    for (const id of touched) await this.#settlement.network(id);
  }

  #take(events: readonly StoreEvent[]): void {
    const { view, context } = this.#parts;
    for (const id of view.apply(events)) {
      const isThere = context().state.networks.has(id);
      if (isThere === view.networks.has(id)) this.#settlement.peers(id);
      else this.#work = this.#work.then(() => this.#settlement.network(id));
    }
  }
}
