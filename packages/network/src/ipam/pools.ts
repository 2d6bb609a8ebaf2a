/**
 * Which subnet a network gets when its creator names none: the first of the default pools that overlaps neither another network
 * nor anything the host can already reach (routes, name servers).
 */
import { createHash } from 'node:crypto';
import { BoxshipError } from '@boxship/base';
import { addressToNumber, doOverlap, type Prefix, parsePrefix, subnetAt } from './prefix.ts';

export interface DefaultAddressPool {
  /** CIDR of the pool. */
  readonly base: string;
  /** Prefix length of the subnets cut from it. */
  readonly size: number;
}

/** Docker's list: 172.17/16 to 172.31/16, then sixteen /20 of 192.168/16. */
export const dockerPools: readonly DefaultAddressPool[] = [
  { base: '172.17.0.0/16', size: 16 },
  { base: '172.18.0.0/16', size: 16 },
  { base: '172.19.0.0/16', size: 16 },
  { base: '172.20.0.0/14', size: 16 },
  { base: '172.24.0.0/14', size: 16 },
  { base: '172.28.0.0/14', size: 16 },
  { base: '192.168.0.0/16', size: 20 },
];

/** Docker ends after 31 networks; a thousand more are there when the pools were not configured. */
const morePools: readonly DefaultAddressPool[] = [{ base: '10.192.0.0/12', size: 24 }];

/** @throws invalidArgument for a malformed pool */
export function checkPools(pools: readonly DefaultAddressPool[]): readonly DefaultAddressPool[] {
  for (const pool of pools) {
    const prefix = parsePrefix(pool.base);
    if (!Number.isInteger(pool.size) || pool.size < prefix.length || pool.size > (prefix.family === 4 ? 30 : 126))
      throw new BoxshipError('invalidArgument', `invalid default address pool ${pool.base}: size ${pool.size}`);
  }
  return pools;
}

export interface ChooseOptions {
  readonly family: 4 | 6;
  /** undefined: Docker's and more. */
  readonly pools: readonly DefaultAddressPool[] | undefined;
  /** Prefixes in use by networks, routes of the host, name servers. */
  readonly taken: readonly Prefix[];
  /** Identifies this host: makes the unique local prefix of RFC 4193. */
  readonly hostId: string;
}

/** @throws resourceExhausted with Docker's text */
export function chooseSubnet(options: ChooseOptions): Prefix {
  for (const pool of candidatePools(options)) {
    const base = parsePrefix(pool.base);
    if (base.family !== options.family) continue;
    for (let index = 0; ; index++) {
      const subnet = subnetAt(base, pool.size, index);
      if (subnet === undefined) break;
      if (!options.taken.some((other) => doOverlap(other, subnet))) return subnet;
    }
  }
  throw new BoxshipError('resourceExhausted', 'all predefined address pools have been fully subnetted');
}

function candidatePools(options: ChooseOptions): readonly DefaultAddressPool[] {
  const configured = options.pools ?? [...dockerPools, ...morePools];
  if (options.family === 4 || configured.some((pool) => pool.base.includes(':'))) return configured;
  const digest = createHash('sha256').update(options.hostId).digest('hex').slice(-10);
  const words = `fd${digest}`.match(/.{4}/g) ?? [];
  return [{ base: `${words.join(':')}::/48`, size: 64 }];
}

/** A prefix of one address, for {@link ChooseOptions.taken}. */
export function hostPrefix(address: string): Prefix {
  const family = address.includes(':') ? 6 : 4;
  return { family, address: addressToNumber(address), length: family === 4 ? 32 : 128 };
}
