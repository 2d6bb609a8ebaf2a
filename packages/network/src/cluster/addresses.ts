/** Addresses on networks of a cluster: each is taken by a transaction that finds it free, whatever this engine believed. */
import { BoxshipError } from '@boxship/base';
import type { Endpoint, EndpointSpec, Network } from '../controller.ts';
import type { AddressSet, GivenAddresses } from '../ipam/addresses.ts';
import { poolFor } from '../sandboxes/endpoint.ts';
import { keys } from './documents.ts';
import type { ClusterParts } from './parts.ts';

/** @throws permissionDenied, resourceExhausted with Docker's texts; unavailable when the store is away */
export async function claimAddresses(
  parts: ClusterParts,
  network: Network,
  spec: EndpointSpec,
): Promise<GivenAddresses> {
  const given: { ipv4Address?: string; ipv6Address?: string } = {};
  try {
    for (const family of [4, 6] as const) {
      const name = family === 4 ? 'ipv4Address' : 'ipv6Address';
      const address = await claimOne(parts, network, family, spec[name] || undefined);
      if (address !== undefined) given[name] = address;
    }
  } catch (error) {
    await releaseAddresses(parts, { networkId: network.id, ipv4Address: '', ipv6Address: '', ...given });
    throw error;
  }
  return given;
}

async function claimOne(
  parts: ClusterParts,
  network: Network,
  family: 4 | 6,
  wanted: string | undefined,
): Promise<string | undefined> {
  const { addresses, state } = parts.context();
  const pool = poolFor(network, family, wanted);
  if (pool === undefined) return undefined;
  const local = state.usedAddresses(network.id);
  const used: AddressSet = {
    has: (address) =>
      local.has(address) ||
      parts.view.ownerOf(network.id, address) !== undefined ||
      parts.pending.has(keys.address(network.id, address)),
  };
  if (wanted !== undefined) {
    const address = addresses.claim(pool, wanted, used);
    if (await take(parts, network, address)) return address;
    throw new BoxshipError('permissionDenied', 'Address already in use');
  }
  for (;;) {
    const address = addresses.choose({ id: network.id, name: network.spec.name }, pool, used);
    if (await take(parts, network, address)) return address;
  }
}

/** False: another engine has it, which this one knows by now. */
async function take(parts: ClusterParts, { id, spec }: Network, address: string): Promise<boolean> {
  const { store, view, pending, engine, settle } = parts;
  const key = keys.address(id, address);
  pending.add(key);
  try {
    const isOurs = await store.commit(
      [
        { kind: 'present', key: keys.network(id) },
        { kind: 'absent', key },
      ],
      [{ kind: 'put', key, value: engine }],
    );
    if (isOurs) {
      view.apply([{ key, value: engine }]);
      settle(id); // whoever had it before is no longer to be reached
      return true;
    }
    const { entries } = await store.list(keys.addressesOf(id));
    view.apply([...entries].map(([entry, value]) => ({ key: entry, value })));
    if (!entries.has(key)) throw new BoxshipError('notFound', `network ${spec.name} was removed from ${store.name}`);
  } catch (error) {
    pending.delete(key);
    throw error;
  }
  pending.delete(key);
  return false;
}

/** Does not fail: while the store is away it is done when the store is back. */
export async function releaseAddresses(
  parts: ClusterParts,
  { networkId, ipv4Address, ipv6Address }: Pick<Endpoint, 'networkId' | 'ipv4Address' | 'ipv6Address'>,
): Promise<void> {
  const { store, view, pending, engine, lease, context } = parts;
  for (const address of [ipv4Address, ipv6Address].filter((text) => text !== '')) {
    const key = keys.address(networkId, address);
    pending.delete(key);
    if (lease() === undefined) continue;
    try {
      await store.commit(
        [{ kind: 'value', key, value: engine }],
        [
          { kind: 'delete', key },
          { kind: 'delete', key: keys.endpoint(networkId, address) },
        ],
      );
      if (view.ownerOf(networkId, address) === engine) view.apply([{ key, value: undefined }]);
    } catch (error) {
      context().log.warn('address could not be given back yet', { network: networkId, address, error });
    }
  }
}
