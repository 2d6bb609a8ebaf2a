/** The tunnel of an overlay network on this host: a VXLAN port of the network's bridge, and what it knows of other hosts. */
import { BoxshipError, shortId } from '@boxship/base';
import {
  changeLink,
  deleteForwarding,
  deleteNeighbour,
  findLink,
  isErrno,
  listForwarding,
  listNeighbours,
  type Neighbour,
  type NetlinkSocket,
  newVxlan,
  randomLinkIndex,
  setForwarding,
  setNeighbour,
  vxlanNamed,
} from '@boxship/linux';
import { writeSysctl } from '../../sysctl.ts';
import type { Ownership } from '../bridge/ownership.ts';
import { deleteLinkNamed } from '../delete-link.ts';

/** IANA's, and Docker's. */
const vxlanPort = 4789;

/** Outer Ethernet, IPv4, UDP and VXLAN headers. */
export const tunnelOverhead = 50;

export const tunnelName = (networkId: string): string => `vx-${shortId(networkId)}`;

export interface TunnelOptions {
  readonly networkId: string;
  readonly networkName: string;
  readonly vni: number;
  /** Address of this host. */
  readonly local: string;
  readonly bridge: string;
  readonly mtu: number;
}

/** Makes the tunnel, or makes it again where it is another one by now; true: it is new and knows nobody. */
export async function ensureTunnel(
  route: NetlinkSocket,
  ownership: Ownership,
  options: TunnelOptions,
): Promise<boolean> {
  const name = tunnelName(options.networkId);
  const alias = ownership.aliasOf('network', options.networkId);
  const bridge = findLink(route, options.bridge);
  if (bridge === undefined)
    throw new BoxshipError('unavailable', `bridge ${options.bridge} of network ${options.networkName} is gone`);
  const link = findLink(route, name);
  if (link !== undefined && link.alias !== alias)
    throw new BoxshipError('conflict', `interface ${name} exists and is not ours`);
  const present = link === undefined ? undefined : vxlanNamed(route, name);
  if (link !== undefined && present?.vni === options.vni && present.local === options.local) {
    if (link.masterIndex !== bridge.index) route.execute(changeLink(link.index, { masterIndex: bridge.index }));
    if (link.mtu !== options.mtu) route.execute(changeLink(link.index, { mtu: options.mtu }));
    if (!link.isUp) route.execute(changeLink(link.index, { isUp: true }));
    return false;
  }
  // the host has another address than when it was made
  if (link !== undefined) await deleteLinkNamed(name);
  make(route, options, alias, bridge.index);
  return true;
}

function make(route: NetlinkSocket, options: TunnelOptions, alias: string, masterIndex: number): void {
  const { vni, local, mtu } = options;
  const name = tunnelName(options.networkId);
  const index = randomLinkIndex();
  try {
    route.execute(
      newVxlan({ name, index, masterIndex, mtu, vni, local, port: vxlanPort }),
      changeLink(index, { alias }),
    );
  } catch (error) {
    if (isErrno(error, 'EEXIST'))
      throw new BoxshipError('conflict', `another tunnel of this host has the VXLAN number ${vni}`, { cause: error });
    if (isErrno(error, 'EOPNOTSUPP'))
      throw new BoxshipError('unimplemented', 'this kernel has no VXLAN (module vxlan is missing)', { cause: error });
    throw error;
  }
  writeSysctl(`net/ipv6/conf/${name}/disable_ipv6`, '1'); // a port of a bridge speaks for nobody
  route.execute(changeLink(index, { isUp: true }));
}

/** A container on another host. */
export interface TunnelPeer {
  readonly host: string;
  readonly macAddress: string;
  readonly addresses: readonly string[];
}

/**
 * Makes what the tunnel knows equal to the list.
 * @param mayStay an address that is not in the list, but of which nothing is known that speaks against it
 */
export function setPeers(
  route: NetlinkSocket,
  networkId: string,
  peers: readonly TunnelPeer[],
  mayStay: (address: string) => boolean,
): void {
  const linkIndex = findLink(route, tunnelName(networkId))?.index;
  if (linkIndex === undefined) return; // made with the network, which then asks again
  const hosts = new Map(peers.map(({ macAddress, host }) => [macAddress, host]));
  const macs = new Map(peers.flatMap((peer) => peer.addresses.map((address) => [address, peer.macAddress] as const)));
  const neighbours = listNeighbours(route).filter(
    (entry) => entry.linkIndex === linkIndex && !isGroupAddress(entry.macAddress),
  );
  const isRight = ({ address, macAddress }: Neighbour): boolean => macs.get(address) === macAddress;
  const [stays, goes] = [new Set<string>(), [] as Neighbour[]];
  for (const entry of neighbours.filter((candidate) => !isRight(candidate)))
    if (!macs.has(entry.address) && mayStay(entry.address)) stays.add(entry.macAddress);
    else goes.push(entry);
  const forwarding = new Map(listForwarding(route, linkIndex).map(({ macAddress, host }) => [macAddress, host]));
  const unknown = [...forwarding.keys()].filter((mac) => !hosts.has(mac) && !stays.has(mac));
  // what is gone first: a MAC may have moved to this host
  const removals = [
    ...goes.map(({ address }) => deleteNeighbour({ linkIndex, address })),
    ...unknown.flatMap((macAddress) => deleteForwarding({ linkIndex, macAddress })),
  ];
  if (removals.length > 0)
    for (const { error } of route.attempt(...removals)) if (!isErrno(error, 'ENOENT')) throw error;
  const right = new Set(neighbours.filter(isRight).map(({ address }) => address));
  const additions = [
    ...[...hosts].flatMap(([macAddress, host]) =>
      forwarding.get(macAddress) === host ? [] : setForwarding({ linkIndex, macAddress, host }),
    ),
    ...[...macs].flatMap(([address, macAddress]) =>
      right.has(address) ? [] : [setNeighbour({ linkIndex, address, macAddress })],
    ),
  ];
  if (additions.length > 0) route.execute(...additions);
}

/** The kernel's own entries for multicast. */
const isGroupAddress = (mac: string): boolean => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
