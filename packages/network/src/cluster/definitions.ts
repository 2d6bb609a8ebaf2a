/**
 * Networks of a cluster: made and removed by one transaction that rests on all others being as they were when name, subnet and
 * VXLAN number were chosen. So no two engines choose the same.
 */
import { BoxshipError } from '@boxship/base';
import type { Network, NetworkSpec } from '../controller.ts';
import { firstVni, lastVni, overlayOption, parseOverlayOptions } from '../drivers/overlay/options.ts';
import { parsePrefix } from '../ipam/prefix.ts';
import { resolvePools } from '../networks/pools.ts';
import { keys, parseNetwork } from './documents.ts';
import type { ClusterParts } from './parts.ts';
import type { Listing } from './store.ts';

/** Where Docker takes the subnets of networks from that several hosts have in common. */
const globalPools = [{ base: '10.0.0.0/8', size: 24 }];
const maxTries = 16;

/**
 * The draft with its subnets and its number, as all engines know it from now on.
 * @throws conflict, permissionDenied (overlap), resourceExhausted, unavailable when the store is away
 */
export async function define(parts: ClusterParts, draft: Network, asked: NetworkSpec): Promise<Network> {
  const { store, context } = parts;
  for (let tried = 0; tried < maxTries; tried++) {
    const listing = await store.list(keys.networks);
    const others = networksIn(listing);
    const sameName = others.find(({ spec }) => spec.name === draft.spec.name);
    if (sameName !== undefined)
      throw new BoxshipError('conflict', `network with name ${draft.spec.name} already exists`, {
        details: { id: sameName.id },
      });
    const taken = others.flatMap(({ spec }) =>
      spec.pools.flatMap(({ subnet }) => (subnet === undefined ? [] : [parsePrefix(subnet)])),
    );
    const pools = resolvePools(context(), asked, { taken, defaults: globalPools });
    const options = { ...draft.spec.options, [overlayOption.vni]: String(chooseVni(draft, others)) };
    const network: Network = { ...draft, spec: { ...draft.spec, pools, options } };
    const isDone = await store.commit(
      [{ kind: 'unchanged', prefix: keys.networks, since: listing.revision }],
      [{ kind: 'put', key: keys.network(network.id), value: JSON.stringify(network) }],
    );
    if (isDone) {
      parts.view.networks.set(network.id, network);
      return network;
    }
  }
  throw new BoxshipError('aborted', `${store.name}: other engines made networks all the time: try again`);
}

function networksIn({ entries }: Listing): Network[] {
  return [...entries].flatMap(([key, value]) => {
    try {
      return [parseNetwork(key.slice(keys.networks.length), value)];
    } catch {
      return []; // reported by the view
    }
  });
}

function chooseVni(draft: Network, others: readonly Network[]): number {
  const used = new Map(others.map(({ spec }) => [parseOverlayOptions(spec.options).vni, spec.name]));
  const { vni: wanted } = parseOverlayOptions(draft.spec.options);
  if (wanted !== undefined) {
    const owner = used.get(wanted);
    if (owner !== undefined) throw new BoxshipError('conflict', `VXLAN number ${wanted} belongs to network ${owner}`);
    return wanted;
  }
  for (let vni = firstVni; vni <= lastVni; vni++) if (!used.has(vni)) return vni;
  throw new BoxshipError('resourceExhausted', 'all VXLAN numbers are taken');
}

/**
 * Takes a network from all engines. Addresses held by engines that are gone do not keep it.
 * @throws permissionDenied while engines that are there have containers in it, unavailable when the store is away
 */
export async function forget(parts: ClusterParts, { id, spec }: Network): Promise<void> {
  const { store, view } = parts;
  for (let tried = 0; tried < maxTries; tried++) {
    const { revision, entries } = await store.list(keys.addressesOf(id));
    const holders = [...new Set(entries.values())].filter((engine) => view.isAlive(engine));
    if (holders.length > 0)
      throw new BoxshipError(
        'permissionDenied',
        `error while removing network: network ${spec.name} id ${id} has active endpoints on ${holders.length} host(s) of the cluster`,
        { details: { engines: holders.join(' ') } },
      );
    const isDone = await store.commit(
      [{ kind: 'unchanged', prefix: keys.addressesOf(id), since: revision }],
      [
        { kind: 'delete', key: keys.network(id) },
        { kind: 'deleteAll', prefix: keys.addressesOf(id) },
        { kind: 'deleteAll', prefix: keys.endpointsOf(id) },
      ],
    );
    if (!isDone) continue;
    view.networks.delete(id);
    return;
  }
  throw new BoxshipError('aborted', `${store.name}: addresses of network ${spec.name} changed all the time: try again`);
}
