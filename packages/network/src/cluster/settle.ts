/** Brings this host together with what the cluster says: which networks there are, who is where, who is called what. */
import type { Endpoint, Network } from '../controller.ts';
import { setPeers } from '../drivers/overlay/tunnel.ts';
import { doOverlap, parsePrefix } from '../ipam/prefix.ts';
import { establish } from '../networks/create.ts';
import { networkPrefixes } from '../networks/pools.ts';
import { takeBack } from '../networks/remove.ts';
import type { ClusterParts } from './parts.ts';
import type { KnownPeer } from './view.ts';

export class Settlement {
  readonly #parts: ClusterParts;
  /** Endpoints of other hosts whose names are known here, by network and address. */
  readonly #named = new Map<string, Map<string, Endpoint>>();
  readonly #refused = new Set<string>();

  constructor(parts: ClusterParts) {
    this.#parts = parts;
  }

  /** Makes a network of the cluster one of this host, or takes away one that is no longer. A failure is logged. */
  async network(id: string): Promise<void> {
    const { context: of, view } = this.#parts;
    const context = of();
    await context.mutex.run('networks', async () => {
      const defined = view.networks.get(id);
      const local = context.state.networks.get(id);
      try {
        if (defined !== undefined && local === undefined) await this.#adopt(defined);
        if (defined !== undefined || local?.state !== 'ready') return;
        if (context.state.membersOf(id).length === 0) await takeBack(context, { ...local, state: 'deleting' });
        else context.log.warn('network was removed from the cluster while containers here are in it', { network: id });
      } catch (error) {
        context.log.error('network of the cluster could not be brought together with this host', {
          network: id,
          error,
        });
      }
    });
    this.peers(id);
  }

  async #adopt(network: Network): Promise<void> {
    const context = this.#parts.context();
    const isNamed = [...context.state.networks.values()].some((other) => other.network.spec.name === network.spec.name);
    const isOverlapping = networkPrefixes(context).some((mine) =>
      network.spec.pools.some(({ subnet }) => subnet !== undefined && doOverlap(mine, parsePrefix(subnet))),
    );
    if (!isNamed && !isOverlapping) {
      this.#refused.delete(network.id);
      await establish(context, { state: 'creating', network }, true);
      return;
    }
    if (this.#refused.has(network.id)) return;
    this.#refused.add(network.id);
    context.log.warn('network of the cluster cannot be used on this host: another one has its name or subnet', {
      network: network.spec.name,
      id: network.id,
    });
  }

  /** Tunnel and names of one network. */
  peers(id: string): void {
    const { context: of, view, engine } = this.#parts;
    const context = of();
    const network = context.state.networks.get(id)?.network;
    const peers = [...view.peers(id)].filter(([, peer]) => peer.engine !== engine);
    this.#setNames(id, network, peers);
    if (network === undefined) return;
    const tunnelPeers = peers.map(([, { host, macAddress, ipv4Address, ipv6Address }]) => ({
      host,
      macAddress,
      addresses: [ipv4Address, ipv6Address].filter((address) => address !== ''),
    }));
    // of an engine whose lease ended before this one was started nothing is known but that it has the address
    const mayStay = (address: string): boolean => (view.ownerOf(id, address) ?? engine) !== engine;
    try {
      setPeers(context.route, id, tunnelPeers, mayStay);
    } catch (error) {
      context.log.error('tunnel could not be told who is where', { network: network.spec.name, error });
    }
  }

  #setNames(id: string, network: Network | undefined, peers: readonly (readonly [string, KnownPeer])[]): void {
    const { names } = this.#parts.context().state;
    const known = this.#named.get(id) ?? new Map<string, Endpoint>();
    const wanted = new Map(
      network === undefined
        ? []
        : peers.flatMap(([address, peer]) => (peer.isAlive ? [[address, endpointOf(network, address, peer)]] : [])),
    );
    for (const [address, endpoint] of known) {
      const next = wanted.get(address);
      if (next !== undefined && areEqual(next, endpoint)) continue;
      names.remove(endpoint);
      known.delete(address);
    }
    for (const [address, endpoint] of wanted) {
      if (known.has(address)) continue;
      names.add(endpoint);
      known.set(address, endpoint);
    }
    if (known.size === 0) this.#named.delete(id);
    else this.#named.set(id, known);
  }
}

const areEqual = (a: Endpoint, b: Endpoint): boolean => JSON.stringify(a) === JSON.stringify(b);

/** As the resolver takes it; what only its own host knows is empty. */
function endpointOf({ id, spec }: Network, address: string, peer: KnownPeer): Endpoint {
  const { names, ipv4Address, ipv6Address, macAddress } = peer;
  return {
    id: `${id} ${address}`,
    networkId: id,
    networkName: spec.name,
    interfaceName: 'remote',
    macAddress,
    ipv4Address,
    ipv4PrefixLength: 0,
    ipv4Gateway: '',
    ipv6Address,
    ipv6PrefixLength: 0,
    ipv6Gateway: '',
    dnsNames: names,
    spec: { network: id },
  };
}
