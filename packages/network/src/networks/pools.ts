/** Resolves the address pools of a new network: subnets chosen or checked, gateways filled in. */
import { BoxshipError, messageOf } from '@boxship/base';
import { listRoutes } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { AddressPool, NetworkSpec } from '../controller.ts';
import { readHostResolvConf, serversOf } from '../files/resolv-conf.ts';
import { defaultGateway } from '../ipam/addresses.ts';
import { chooseSubnet, type DefaultAddressPool, hostPrefix } from '../ipam/pools.ts';
import {
  addressToNumber,
  doOverlap,
  formatPrefix,
  isInside,
  numberToAddress,
  type Prefix,
  parsePrefix,
} from '../ipam/prefix.ts';

/** For networks that are not this host's alone. */
export interface ElsewhereTaken {
  /** Subnets of networks that this host may not know. */
  readonly taken: readonly Prefix[];
  /** Where subnets are chosen from. */
  readonly defaults: readonly DefaultAddressPool[];
}

/** @throws invalidArgument, permissionDenied (overlap), resourceExhausted, with Docker's texts */
export function resolvePools(context: Context, spec: NetworkSpec, elsewhere?: ElsewhereTaken): AddressPool[] {
  const pools = (spec.pools ?? []).filter((pool) => Object.keys(pool).length > 0);
  const wantsFamily = { 4: spec.enableIPv4 ?? true, 6: spec.enableIPv6 ?? false };
  const resolved: AddressPool[] = [];
  const taken = [...networkPrefixes(context), ...(elsewhere?.taken ?? [])];
  for (const pool of pools) {
    if (pool.subnet === undefined) continue;
    const subnet = parseSubnet(pool.subnet);
    if (
      [...taken, ...resolved.map((other) => parsePrefix(other.subnet ?? ''))].some((other) => doOverlap(other, subnet))
    )
      throw new BoxshipError('permissionDenied', 'Pool overlaps with other one on this address space');
    resolved.push(complete({ ...pool, subnet: formatPrefix(subnet) }));
  }
  for (const family of [4, 6] as const) {
    const isGiven = resolved.some((pool) => parsePrefix(pool.subnet ?? '').family === family);
    if (!wantsFamily[family] || isGiven) continue;
    const chosen = chooseSubnet({
      family,
      pools: elsewhere?.defaults ?? context.pools,
      taken: [...taken, ...hostPrefixes(context)],
      hostId: context.hostId,
    });
    // a pool without subnet may still name what else it wants of the chosen one
    const rest = pools.find((pool) => pool.subnet === undefined && familyOf(pool) === family);
    resolved.push(complete({ ...rest, subnet: formatPrefix(chosen), isChosen: true }));
  }
  return resolved;
}

function parseSubnet(text: string): Prefix {
  try {
    return parsePrefix(text);
  } catch (error) {
    throw new BoxshipError('invalidArgument', `Invalid subnet ${text} : ${messageOf(error)}`, { cause: error });
  }
}

/** Of a pool without subnet, by what else it names. */
function familyOf(pool: AddressPool): 4 | 6 {
  const named = [pool.gateway, pool.ipRange, ...Object.values(pool.auxAddresses ?? {})];
  return named.some((text) => text?.includes(':') === true) ? 6 : 4;
}

function complete(pool: AddressPool & { subnet: string }): AddressPool {
  const subnet = parsePrefix(pool.subnet);
  if (pool.ipRange !== undefined) {
    const range = parsePrefix(pool.ipRange);
    if (!doOverlap(range, subnet) || range.length < subnet.length)
      throw new BoxshipError('invalidArgument', `ip-range ${pool.ipRange} is not inside of subnet ${pool.subnet}`);
  }
  const check = (address: string, what: string): string => {
    if (!isInside(address, subnet))
      throw new BoxshipError('invalidArgument', `no matching subnet for ${what} ${address}`);
    return numberToAddress(addressToNumber(address), subnet.family);
  };
  for (const address of Object.values(pool.auxAddresses ?? {})) check(address, 'aux-address');
  const gateway = pool.gateway === undefined ? defaultGateway(pool) : check(pool.gateway, 'gateway');
  return { ...pool, gateway };
}

/** Subnets of all networks. */
export function networkPrefixes(context: Context): Prefix[] {
  return [...context.state.networks.values()].flatMap(({ network }) =>
    // a configuration network has no subnets of its own: it lends them
    (network.spec.isConfigOnly ? [] : network.spec.pools).flatMap(({ subnet }) =>
      subnet === undefined ? [] : [parsePrefix(subnet)],
    ),
  );
}

/** What the host reaches otherwise: a subnet chosen over it would cut the host off from there. */
export function hostPrefixes(context: Context): Prefix[] {
  const prefixes: Prefix[] = [];
  for (const route of listRoutes(context.route))
    if (route.destination !== 'default') prefixes.push(parsePrefix(route.destination));
  for (const server of serversOf(readHostResolvConf())) {
    const address = server.split('%')[0] ?? server;
    if (/^[0-9a-fA-F.:]+$/.test(address)) prefixes.push(hostPrefix(address));
  }
  return prefixes;
}
