/**
 * Who is called what: an index over the endpoints of sandboxes that stand, by network. Kept by `State` together with its
 * records, so that a name is there from the moment its endpoint is and gone with it.
 */
import type { Endpoint } from '../controller.ts';

/** Members of a network know each other by name, except on the default bridge, and where there is no network at all. */
export const isNamed = (endpoint: Endpoint): boolean =>
  endpoint.interfaceName !== '' && endpoint.networkName !== 'bridge';

type Members = Set<Endpoint>;

/** Names of the DNS are compared without regard to case. */
const keyOf = (name: string): string => name.toLowerCase();

export class NameIndex {
  readonly #byName = new Map<string, Map<string, Members>>();
  readonly #byAddress = new Map<string, Map<string, Endpoint>>();

  add(endpoint: Endpoint): void {
    if (!isNamed(endpoint)) return;
    const names = entry(this.#byName, endpoint.networkId, () => new Map<string, Members>());
    for (const name of endpoint.dnsNames) entry(names, keyOf(name), () => new Set<Endpoint>()).add(endpoint);
    const addresses = entry(this.#byAddress, endpoint.networkId, () => new Map<string, Endpoint>());
    for (const address of [endpoint.ipv4Address, endpoint.ipv6Address])
      if (address !== '') addresses.set(address, endpoint);
  }

  /** Forgetting an endpoint that is not known changes nothing. */
  remove(endpoint: Endpoint): void {
    const names = this.#byName.get(endpoint.networkId);
    const addresses = this.#byAddress.get(endpoint.networkId);
    for (const name of endpoint.dnsNames) {
      const members = names?.get(keyOf(name));
      members?.delete(endpoint);
      if (members?.size === 0) names?.delete(keyOf(name));
    }
    for (const address of [endpoint.ipv4Address, endpoint.ipv6Address])
      if (addresses?.get(address) === endpoint) addresses.delete(address);
    if (names?.size === 0) this.#byName.delete(endpoint.networkId);
    if (addresses?.size === 0) this.#byAddress.delete(endpoint.networkId);
  }

  /** Every endpoint of the network with that name; none is an empty list. */
  named(networkId: string, name: string): readonly Endpoint[] {
    return [...(this.#byName.get(networkId)?.get(keyOf(name)) ?? [])];
  }

  /** The endpoint of the network with that address. */
  at(networkId: string, address: string): Endpoint | undefined {
    return this.#byAddress.get(networkId)?.get(address);
  }
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const present = map.get(key);
  if (present !== undefined) return present;
  const made = make();
  map.set(key, made);
  return made;
}
