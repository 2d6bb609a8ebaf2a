/**
 * What this engine knows of its cluster: an index over the entries of the store, kept by its events. Questions only. An endpoint
 * whose engine's lease has ended is remembered as long as its address is held: packets may still reach it.
 */
import { isIP } from 'node:net';
import type { Logger } from '@boxship/base';
import type { Network } from '../controller.ts';
import { type Peer, parseNetwork, parsePeer } from './documents.ts';
import type { StoreEvent } from './store.ts';

export interface KnownPeer extends Peer {
  /** Its engine's lease holds. */
  readonly isAlive: boolean;
}

export class ClusterView {
  readonly networks = new Map<string, Network>();
  readonly #owners = new Map<string, Map<string, string>>();
  readonly #peers = new Map<string, Map<string, KnownPeer>>();
  readonly #engines = new Set<string>();
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Replaces everything by a listing; gives the networks that it may mean something for: all. */
  replace(entries: ReadonlyMap<string, string>): Set<string> {
    const touched = new Set([...this.networks.keys(), ...this.#peers.keys()]);
    this.networks.clear();
    this.#owners.clear();
    this.#engines.clear();
    for (const peers of this.#peers.values())
      for (const [at, peer] of peers) peers.set(at, { ...peer, isAlive: false });
    const events = [...entries].map(([key, value]) => ({ key, value }));
    for (const id of this.apply(events)) touched.add(id);
    return touched;
  }

  /** Takes events over; gives the networks concerned. */
  apply(events: readonly StoreEvent[]): Set<string> {
    const touched = new Set<string>();
    for (const { key, value } of events) {
      const [kind = '', id = '', address = ''] = key.split('/');
      try {
        if (kind === 'networks') this.#setNetwork(id, value);
        else if (kind === 'addresses' && isIP(address) !== 0) this.#setOwner(id, address, value);
        else if (kind === 'endpoints' && isIP(address) !== 0) this.#setPeer(id, address, value);
        else if (kind === 'hosts') this.#setEngine(id, value);
      } catch (error) {
        this.#log.error('entry of the cluster store is not understood', { key, error });
      }
      if (kind !== 'hosts') touched.add(id);
    }
    for (const id of touched) this.#forgetUnowned(id);
    return touched;
  }

  /** The engine that holds an address. */
  ownerOf(network: string, address: string): string | undefined {
    return this.#owners.get(network)?.get(address);
  }

  /** Addresses of a network held by an engine. */
  addressesOf(engine: string): { network: string; address: string }[] {
    return [...this.#owners].flatMap(([network, owners]) =>
      [...owners].flatMap(([address, owner]) => (owner === engine ? [{ network, address }] : [])),
    );
  }

  /** The engines that hold addresses of a network. */
  holdersOf(network: string): Set<string> {
    return new Set(this.#owners.get(network)?.values() ?? []);
  }

  isAlive(engine: string): boolean {
    return this.#engines.has(engine);
  }

  peers(network: string): ReadonlyMap<string, KnownPeer> {
    return this.#peers.get(network) ?? new Map();
  }

  #setNetwork(id: string, value: string | undefined): void {
    if (value === undefined) this.networks.delete(id);
    else this.networks.set(id, parseNetwork(id, value));
  }

  #setOwner(network: string, address: string, engine: string | undefined): void {
    const owners = this.#owners.get(network) ?? new Map<string, string>();
    this.#owners.set(network, owners);
    if (engine === undefined) owners.delete(address);
    else owners.set(address, engine);
    if (owners.size === 0) this.#owners.delete(network);
  }

  #setPeer(network: string, address: string, value: string | undefined): void {
    const peers = this.#peers.get(network) ?? new Map<string, KnownPeer>();
    this.#peers.set(network, peers);
    const known = peers.get(address);
    if (value !== undefined) peers.set(address, { ...parsePeer(value), isAlive: true });
    else if (known !== undefined) peers.set(address, { ...known, isAlive: false });
  }

  #setEngine(engine: string, value: string | undefined): void {
    if (value === undefined) this.#engines.delete(engine);
    else this.#engines.add(engine);
  }

  /** Endpoints end with the claim on their address. */
  #forgetUnowned(network: string): void {
    const peers = this.#peers.get(network);
    for (const [address, { engine }] of peers ?? [])
      if (this.ownerOf(network, address) !== engine) peers?.delete(address);
    if (peers?.size === 0) this.#peers.delete(network);
  }
}
