/** The endpoints of this engine, as the others are told of them. */
import type { Endpoint, Network } from '../controller.ts';
import { driverNamed } from '../drivers/lookup.ts';
import { releaseAddresses } from './addresses.ts';
import { keys, mainAddress, type Peer } from './documents.ts';
import type { ClusterParts } from './parts.ts';
import type { Change } from './store.ts';

/** Does not fail: what could not be told is told when the connection begins anew. */
export async function announce(parts: ClusterParts, endpoint: Endpoint): Promise<void> {
  const { store, lease, pending, engine, context } = parts;
  for (const address of addressesOf(endpoint)) pending.delete(keys.address(endpoint.networkId, address));
  const held = lease();
  if (held === undefined) return;
  try {
    await store.commit(
      addressesOf(endpoint).map((address) => ({
        kind: 'value',
        key: keys.address(endpoint.networkId, address),
        value: engine,
      })),
      [toldAs(parts, endpoint, held)],
    );
  } catch (error) {
    context().log.warn('endpoint could not be told to the cluster yet', { endpoint: endpoint.id, error });
  }
}

const addressesOf = (endpoint: Endpoint): string[] =>
  [endpoint.ipv4Address, endpoint.ipv6Address].filter((address) => address !== '');

function toldAs({ engine, host }: ClusterParts, endpoint: Endpoint, lease: bigint): Change {
  const peer: Peer = {
    engine,
    host,
    names: endpoint.dnsNames,
    ipv4Address: endpoint.ipv4Address,
    ipv6Address: endpoint.ipv6Address,
    macAddress: endpoint.macAddress,
  };
  const key = keys.endpoint(endpoint.networkId, mainAddress(endpoint));
  return { kind: 'put', key, value: JSON.stringify(peer), lease };
}

/** At each beginning of a connection: tells everything, and gives back what a death or an absence left behind. */
export async function bringTogether(parts: ClusterParts, lease: bigint): Promise<void> {
  const { store, view, engine, host, pending } = parts;
  await store.commit([], [{ kind: 'put', key: keys.host(engine), value: host, lease }]);
  const members = sharedEndpoints(parts);
  const used = new Map([...members.values()].map(({ network }) => [network.id, network]));
  for (const network of used.values()) await ensureDefined(parts, network);
  await Promise.all([...members.values()].map(({ endpoint }) => restore(parts, endpoint, lease)));
  const left = view
    .addressesOf(engine)
    .filter(({ network, address }) => !members.has(keys.address(network, address)))
    .filter(({ network, address }) => !pending.has(keys.address(network, address)));
  await Promise.all(
    left.map(({ network, address }) =>
      releaseAddresses(parts, { networkId: network, ipv4Address: address, ipv6Address: '' }),
    ),
  );
}

/** By the key of each of their addresses. */
function sharedEndpoints(parts: ClusterParts): Map<string, { endpoint: Endpoint; network: Network }> {
  const context = parts.context();
  const found = new Map<string, { endpoint: Endpoint; network: Network }>();
  for (const record of context.state.sandboxes.values()) {
    if (record.bootId !== context.bootId) continue;
    for (const { endpoint } of record.endpoints) {
      const network = context.state.networks.get(endpoint.networkId)?.network;
      if (network === undefined || driverNamed(context, network.spec.driver).isShared !== true) continue;
      for (const address of addressesOf(endpoint)) found.set(keys.address(network.id, address), { endpoint, network });
    }
  }
  return found;
}

/** A network that containers here are in stays one: it was removed while this engine was away, or the store has lost it. */
async function ensureDefined({ store, view, context }: ClusterParts, network: Network): Promise<void> {
  if (view.networks.has(network.id)) return;
  const key = keys.network(network.id);
  const isMissing = await store.commit(
    [{ kind: 'absent', key }],
    [{ kind: 'put', key, value: JSON.stringify(network) }],
  );
  view.networks.set(network.id, network);
  if (isMissing)
    context().log.warn('network was gone from the cluster: made known again', { network: network.spec.name });
}

async function restore(parts: ClusterParts, endpoint: Endpoint, lease: bigint): Promise<void> {
  const { store, engine, view, context } = parts;
  const told = toldAs(parts, endpoint, lease);
  const claims = addressesOf(endpoint).map((address) => keys.address(endpoint.networkId, address));
  if (
    await store.commit(
      claims.map((key) => ({ kind: 'value', key, value: engine })),
      [told],
    )
  )
    return;
  const isTaken = await store.commit(
    claims.map((key) => ({ kind: 'absent', key })),
    [...claims.map((key) => ({ kind: 'put', key, value: engine }) as const), told],
  );
  if (isTaken) view.apply(claims.map((key) => ({ key, value: engine })));
  else
    context().log.error('address of a container is held by another engine of the cluster', {
      endpoint: endpoint.id,
      address: mainAddress(endpoint),
      network: endpoint.networkName,
    });
}
