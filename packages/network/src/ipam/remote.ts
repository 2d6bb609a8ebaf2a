/**
 * Address management outside of this engine: by a plugin of Docker's (`docker network create --ipam-driver NAME`), which gives
 * pools when networks are made and addresses when endpoints are, or by the cluster, for networks that are not this host's alone. What a plugin holds for a network is written in the store, so that it is given back whenever the
 * network goes.
 */
import { BoxshipError } from '@boxship/base';
import { clusterOf } from '../cluster/lookup.ts';
import type { Context } from '../context.ts';
import type { AddressPool, Endpoint, EndpointSpec, Network, NetworkSpec } from '../controller.ts';
import { driverNamed } from '../drivers/lookup.ts';
import type { PluginClient } from '../drivers/remote/client.ts';
import type { GivenAddresses } from './addresses.ts';
import { parsePrefix } from './prefix.ts';

interface HeldPool {
  readonly id: string;
  readonly subnet: string;
  /** The address requested as the gateway; empty: none was. */
  readonly gateway: string;
}

const gatewayKey = 'com.docker.network.gateway';
const metaKey = (networkId: string): string => `ipam:${networkId}`;
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const isRemote = ({ ipamDriver }: Pick<NetworkSpec, 'ipamDriver'>): boolean =>
  ipamDriver !== undefined && ipamDriver !== '' && ipamDriver !== 'default';

/** @throws notFound with Docker's text */
function clientOf(context: Context, spec: Pick<NetworkSpec, 'ipamDriver'>): PluginClient {
  const client = context.plugins.find(spec.ipamDriver ?? '');
  if (client === undefined) throw new BoxshipError('notFound', `plugin "${spec.ipamDriver}" not found`);
  return client;
}

/** The pools of a new network; undefined: they are not a plugin's affair. @throws what the plugin says */
export async function requestPools(
  context: Context,
  id: string,
  spec: NetworkSpec,
): Promise<AddressPool[] | undefined> {
  if (!isRemote(spec)) return undefined;
  const client = clientOf(context, spec);
  const spaces = await client.call('IpamDriver.GetDefaultAddressSpaces');
  const pools: AddressPool[] = [];
  const held: HeldPool[] = [];
  try {
    for (const wanted of wantedPools(spec)) {
      const pool = await client.call('IpamDriver.RequestPool', {
        AddressSpace: text(spaces?.['LocalDefaultAddressSpace']),
        Pool: wanted.subnet ?? '',
        SubPool: wanted.ipRange ?? '',
        Options: spec.ipamOptions ?? {},
        V6: wanted.isV6,
      });
      const [poolId, subnet] = [text(pool?.['PoolID']), text(pool?.['Pool'])];
      parsePrefix(subnet); // what a plugin says is checked like what a user says
      const dictated = text((pool?.['Data'] as Record<string, unknown> | undefined)?.[gatewayKey]);
      held.push({ id: poolId, subnet, gateway: '' });
      const gateway =
        dictated || (await requestAddress(client, poolId, wanted.gateway ?? '', { RequestAddressType: gatewayKey }));
      const address = gateway.split('/')[0] ?? '';
      if (dictated === '') held.splice(-1, 1, { id: poolId, subnet, gateway: address });
      pools.push({ ...wanted.rest, subnet, gateway: address });
    }
  } catch (error) {
    await giveBack(context, client, held);
    throw error;
  }
  context.store.setMeta(metaKey(id), JSON.stringify(held));
  return pools;
}

function wantedPools(spec: NetworkSpec) {
  const given = (spec.pools ?? []).filter((pool) => Object.keys(pool).length > 0);
  const isV6 = ({ subnet, gateway }: AddressPool): boolean => (subnet ?? gateway ?? '').includes(':');
  const wanted = given.map((pool) => ({ ...pool, isV6: isV6(pool), rest: pool }));
  if ((spec.enableIPv4 ?? true) && !wanted.some((pool) => !pool.isV6)) wanted.push({ isV6: false, rest: {} });
  if (spec.enableIPv6 === true && !wanted.some((pool) => pool.isV6)) wanted.push({ isV6: true, rest: {} });
  return wanted;
}

async function requestAddress(client: PluginClient, poolId: string, address: string, options: object): Promise<string> {
  const answer = await client.call('IpamDriver.RequestAddress', { PoolID: poolId, Address: address, Options: options });
  return text(answer?.['Address']);
}

/** The pools of a network that goes, or was not made after all. What cannot be given back is logged. */
export async function releasePools(context: Context, { id, spec }: Network): Promise<void> {
  const held = heldPools(context, id);
  if (held.length === 0) return;
  await giveBack(context, clientOf(context, spec), held);
  context.store.deleteMeta(metaKey(id));
}

async function giveBack(context: Context, client: PluginClient, held: readonly HeldPool[]): Promise<void> {
  for (const { id, gateway } of held) {
    if (gateway !== '') await attempt(context, client, 'IpamDriver.ReleaseAddress', { PoolID: id, Address: gateway });
    await attempt(context, client, 'IpamDriver.ReleasePool', { PoolID: id });
  }
}

async function attempt(context: Context, client: PluginClient, method: string, body: object): Promise<void> {
  try {
    await client.call(method, body);
  } catch (error) {
    context.log.warn('plugin did not take back what it gave', { plugin: client.name, method, body, error });
  }
}

const heldPools = (context: Context, networkId: string): HeldPool[] =>
  JSON.parse(context.store.meta(metaKey(networkId)) ?? '[]') as HeldPool[];

/** Addresses for an endpoint, where others give them. @throws what the plugin or the cluster says */
export async function requestAddresses(
  context: Context,
  network: Network,
  spec: EndpointSpec,
): Promise<GivenAddresses> {
  if (driverNamed(context, network.spec.driver).isShared === true) return await clusterOf(context).claim(network, spec);
  if (!isRemote(network.spec)) return {};
  const client = clientOf(context, network.spec);
  const options = spec.macAddress ? { 'com.docker.network.endpoint.macaddress': spec.macAddress } : {};
  const given: { ipv4Address?: string; ipv6Address?: string } = {};
  for (const { id, subnet } of heldPools(context, network.id)) {
    const key = parsePrefix(subnet).family === 4 ? 'ipv4Address' : 'ipv6Address';
    if (given[key] !== undefined) continue;
    try {
      given[key] = (await requestAddress(client, id, spec[key] ?? '', options)).split('/')[0] ?? '';
    } catch (error) {
      await releaseAddresses(context, { networkId: network.id, ipv4Address: '', ipv6Address: '', ...given });
      throw error;
    }
  }
  return given;
}

/** Addresses of an endpoint that is gone are free again, here and at the plugin that gave them. */
export async function releaseAddresses(
  context: Context,
  { networkId, ipv4Address, ipv6Address }: Pick<Endpoint, 'networkId' | 'ipv4Address' | 'ipv6Address'>,
): Promise<void> {
  context.addresses.release(networkId, ipv4Address, ipv6Address);
  const network = context.state.networks.get(networkId)?.network;
  if (network === undefined) return;
  if (driverNamed(context, network.spec.driver).isShared === true)
    await context.cluster?.release({ networkId, ipv4Address, ipv6Address });
  if (!isRemote(network.spec)) return;
  const client = context.plugins.find(network.spec.ipamDriver);
  if (client === undefined) return;
  for (const { id, subnet } of heldPools(context, networkId)) {
    const address = parsePrefix(subnet).family === 4 ? ipv4Address : ipv6Address;
    if (address !== '') await attempt(context, client, 'IpamDriver.ReleaseAddress', { PoolID: id, Address: address });
  }
}
