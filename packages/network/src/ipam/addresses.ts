/**
 * Which address an endpoint gets: the lowest free one, leaving out those released within the last half minute, whose old
 * owner may still be in the neighbour tables and connection tracking of peers. What is in use is derived from the endpoints:
 * there is no second record that could disagree.
 */
import { BoxshipError } from '@boxship/base';
import type { AddressPool } from '../controller.ts';
import { addressToNumber, firstOf, isInside, lastOf, numberToAddress, parsePrefix } from './prefix.ts';

/** Names of auxiliary addresses that Docker reads as the gateway of containers, apart from the address of the bridge. */
export const gatewayKey = { 4: 'DefaultGatewayIPv4', 6: 'DefaultGatewayIPv6' } as const;

const quarantineMs = 30_000;

/** Addresses that others than this allocator gave an endpoint. */
export interface GivenAddresses {
  readonly ipv4Address?: string;
  readonly ipv6Address?: string;
}

/** The addresses in use on a network. */
export type AddressSet = Pick<ReadonlySet<string>, 'has'>;

export class AddressAllocator {
  readonly #released = new Map<string, number>();

  /** Notes that addresses of a network became free. */
  release(networkId: string, ...addresses: readonly string[]): void {
    const now = performance.now();
    for (const [key, time] of this.#released) {
      if (now - time < quarantineMs) break; // insertion order is time order
      this.#released.delete(key);
    }
    for (const address of addresses) {
      if (address === '') continue;
      const key = `${networkId} ${address}`;
      this.#released.delete(key); // to the end of the order
      this.#released.set(key, now);
    }
  }

  /**
   * A free address of the pool.
   * @param used addresses of the endpoints of the network
   * @throws resourceExhausted with Docker's text
   */
  choose(
    network: { readonly id: string; readonly name: string },
    pool: AddressPool & { subnet: string },
    used: AddressSet,
  ): string {
    const reserved = reservedAddresses(pool);
    const subnet = parsePrefix(pool.subnet);
    const range = pool.ipRange === undefined ? subnet : parsePrefix(pool.ipRange);
    const now = performance.now();
    let quarantined: string | undefined;
    for (let number = firstOf(range); number <= lastOf(range); number++) {
      if (number === firstOf(subnet) && subnet.length < (subnet.family === 4 ? 31 : 127)) continue; // the network itself
      if (number === lastOf(subnet) && subnet.family === 4 && subnet.length < 31) continue; // broadcast
      const address = numberToAddress(number, subnet.family);
      if (reserved.has(address) || used.has(address)) continue;
      const releasedAt = this.#released.get(`${network.id} ${address}`);
      if (releasedAt === undefined || now - releasedAt >= quarantineMs) return address;
      quarantined ??= address;
    }
    if (quarantined !== undefined) return quarantined;
    throw new BoxshipError(
      'resourceExhausted',
      `no available IPv${subnet.family} addresses on this network's address pools: ${network.name} (${network.id})`,
    );
  }

  /** Checks an address the user asked for. @throws invalidArgument, permissionDenied with Docker's texts */
  claim(pool: AddressPool & { subnet: string }, address: string, used: AddressSet): string {
    const subnet = parsePrefix(pool.subnet);
    const text = numberToAddress(addressToNumber(address), subnet.family);
    if (!isInside(text, subnet))
      throw new BoxshipError(
        'invalidArgument',
        `Invalid address ${address}: It does not belong to any of this network's subnets`,
      );
    if (text === pool.gateway || used.has(text)) throw new BoxshipError('permissionDenied', 'Address already in use');
    return text;
  }
}

function reservedAddresses(pool: AddressPool): Set<string> {
  return new Set([pool.gateway ?? '', ...Object.values(pool.auxAddresses ?? {})]);
}

/** The gateway of a pool when none is named: the first address of the range or subnet that can be one. */
export function defaultGateway(pool: AddressPool & { subnet: string }): string {
  const subnet = parsePrefix(pool.subnet);
  const range = pool.ipRange === undefined ? subnet : parsePrefix(pool.ipRange);
  const reserved = new Set(Object.values(pool.auxAddresses ?? {}));
  for (let number = firstOf(range); number <= lastOf(range); number++) {
    if (number === firstOf(subnet)) continue;
    const address = numberToAddress(number, subnet.family);
    if (!reserved.has(address)) return address;
  }
  throw new BoxshipError('invalidArgument', `no address for a gateway in ${pool.subnet}`);
}
