/**
 * Links (rtnetlink(7), RTM_*LINK): requests to make, change and delete bridges and veth pairs, and the reading of links.
 * Facts: a veth peer is made straight in another namespace by IFLA_NET_NS_FD inside VETH_INFO_PEER, and must not be made up
 * there (the kernel answers ENOTCONN). An alias cannot be given at creation, hence {@link changeLink} in the same batch.
 */
import { randomInt } from 'node:crypto';
import { BoxshipError } from '@boxship/base';
import { bytesToMac, macToBytes } from './address-text.ts';
import {
  attribute,
  flags,
  listAttributes,
  type NetlinkMessage,
  parseAttributes,
  type ReceivedMessage,
  readText,
} from './codec.ts';
import { isErrno, type NetlinkSocket } from './socket.ts';

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const IFF_UP = 1;
const attr = {
  address: 1,
  name: 3,
  mtu: 4,
  link: 5,
  master: 10,
  linkInfo: 18,
  alias: 20,
  stats64: 23,
  netNsFd: 28,
  ...{ txQueues: 31, rxQueues: 32 },
} as const;
const info = { kind: 1, data: 2, slaveKind: 4, slaveData: 5 } as const;
const VETH_INFO_PEER = 1;
const port = { mode: 4, isolated: 33 } as const;

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly isUp: boolean;
  /** The carrier is there: at least one port of a bridge, both ends of a pair up. */
  readonly isRunning: boolean;
  readonly mtu: number;
  readonly macAddress: string;
  readonly masterIndex: number | undefined;
  readonly alias: string | undefined;
  /** `bridge`, `veth`, `vxlan` …; undefined for physical links. */
  readonly kind: string | undefined;
  readonly statistics: LinkStatistics | undefined;
}

export interface LinkStatistics {
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxErrors: number;
  readonly txErrors: number;
  readonly rxDropped: number;
  readonly txDropped: number;
}

function header(index: number, up?: boolean): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32LE(index, 4);
  if (up !== undefined) {
    bytes.writeUInt32LE(up ? IFF_UP : 0, 8);
    bytes.writeUInt32LE(IFF_UP, 12);
  }
  return bytes;
}

/**
 * An index for a link about to be made. Requests in one batch can then change the link by index: if its creation fails, they
 * fail too, where a change by name would meet a stranger's link.
 */
export function randomLinkIndex(): number {
  return randomInt(1 << 20, 1 << 30);
}

/** A bridge, down until changed. @throws alreadyExists from the socket */
export function newBridge(options: {
  readonly name: string;
  /** The index to give it, see {@link randomLinkIndex}; absent: the kernel's choice. */
  readonly index?: number;
  readonly macAddress?: string;
  readonly mtu?: number;
}): NetlinkMessage {
  const attributes = [attribute.text(attr.name, options.name)];
  if (options.macAddress !== undefined) attributes.push(attribute.bytes(attr.address, macToBytes(options.macAddress)));
  if (options.mtu !== undefined) attributes.push(attribute.u32(attr.mtu, options.mtu));
  attributes.push(attribute.group(attr.linkInfo, attribute.text(info.kind, 'bridge')));
  return {
    type: RTM_NEWLINK,
    flags: flags.create | flags.exclusive,
    payload: Buffer.concat([header(options.index ?? 0), ...attributes]),
    subject: `create bridge ${options.name}`,
  };
}

export interface VethOptions {
  readonly name: string;
  /** As of a bridge, for this end. */
  readonly index?: number;
  readonly masterIndex?: number;
  readonly mtu?: number;
  readonly peer: {
    readonly name: string;
    /** As of this end. */
    readonly index?: number;
    readonly namespaceFd?: number;
    readonly macAddress?: string;
  };
}

/**
 * veth(4) makes a queue for each processor and then turns all but one off, for which the kernel waits until no processor uses them:
 * half of the time that a pair takes, and many times as much on a busy machine. With one from the start there is no wait.
 */
const oneQueue = [attribute.u32(attr.txQueues, 1), attribute.u32(attr.rxQueues, 1)];

/** A veth pair: this end up and in its bridge, the peer down in its namespace. */
export function newVeth(options: VethOptions): NetlinkMessage {
  const peer = [header(options.peer.index ?? 0), attribute.text(attr.name, options.peer.name), ...oneQueue];
  if (options.peer.namespaceFd !== undefined) peer.push(attribute.u32(attr.netNsFd, options.peer.namespaceFd));
  if (options.mtu !== undefined) peer.push(attribute.u32(attr.mtu, options.mtu));
  if (options.peer.macAddress !== undefined)
    peer.push(attribute.bytes(attr.address, macToBytes(options.peer.macAddress)));
  const attributes = [attribute.text(attr.name, options.name), ...oneQueue];
  if (options.mtu !== undefined) attributes.push(attribute.u32(attr.mtu, options.mtu));
  if (options.masterIndex !== undefined) attributes.push(attribute.u32(attr.master, options.masterIndex));
  attributes.push(
    attribute.group(
      attr.linkInfo,
      attribute.text(info.kind, 'veth'),
      attribute.group(info.data, attribute.bytes(VETH_INFO_PEER, Buffer.concat(peer))),
    ),
  );
  return {
    type: RTM_NEWLINK,
    flags: flags.create | flags.exclusive,
    payload: Buffer.concat([header(options.index ?? 0, true), ...attributes]),
    subject: `create veth ${options.name}`,
  };
}

export const macvlanModes = { private: 1, vepa: 2, bridge: 4, passthru: 8 } as const;
export const ipvlanModes = { l2: 0, l3: 1, l3s: 2 } as const;
export const ipvlanFlags = { bridge: 0, private: 1, vepa: 2 } as const;

export type ChildKind =
  | { readonly kind: 'macvlan'; readonly mode: keyof typeof macvlanModes }
  | { readonly kind: 'ipvlan'; readonly mode: keyof typeof ipvlanModes; readonly flag: keyof typeof ipvlanFlags }
  | { readonly kind: 'vlan'; readonly id: number };

/** A link on top of another one, down until changed; made straight in another namespace if one is given. */
export function newChild(options: {
  readonly name: string;
  readonly index?: number;
  readonly parentIndex: number;
  readonly type: ChildKind;
  readonly mtu?: number;
  readonly macAddress?: string;
  readonly namespaceFd?: number;
}): NetlinkMessage {
  const { type } = options;
  const attributes = [attribute.text(attr.name, options.name), attribute.u32(attr.link, options.parentIndex)];
  if (options.mtu !== undefined) attributes.push(attribute.u32(attr.mtu, options.mtu));
  if (options.macAddress !== undefined) attributes.push(attribute.bytes(attr.address, macToBytes(options.macAddress)));
  if (options.namespaceFd !== undefined) attributes.push(attribute.u32(attr.netNsFd, options.namespaceFd));
  const data =
    type.kind === 'macvlan'
      ? [attribute.u32(1, macvlanModes[type.mode])] // IFLA_MACVLAN_MODE
      : type.kind === 'ipvlan'
        ? [attribute.u16(1, ipvlanModes[type.mode]), attribute.u16(2, ipvlanFlags[type.flag])] // IFLA_IPVLAN_MODE, FLAGS
        : [attribute.u16(1, type.id)]; // IFLA_VLAN_ID
  attributes.push(
    attribute.group(attr.linkInfo, attribute.text(info.kind, type.kind), attribute.group(info.data, ...data)),
  );
  return {
    type: RTM_NEWLINK,
    flags: flags.create | flags.exclusive,
    payload: Buffer.concat([header(options.index ?? 0), ...attributes]),
    subject: `create ${type.kind} ${options.name}`,
  };
}

export interface LinkChange {
  readonly isUp?: boolean;
  /** A link must be down to be renamed. */
  readonly newName?: string;
  readonly mtu?: number;
  readonly masterIndex?: number;
  readonly macAddress?: string;
  readonly alias?: string;
  readonly namespaceFd?: number;
  /** For ports of a bridge. Hairpin: a frame may leave by the port it came in. Isolated: no traffic to other isolated ports. */
  readonly bridgePort?: { readonly isHairpin?: boolean; readonly isIsolated?: boolean };
}

/** Changes a link given by index or by name. */
export function changeLink(link: number | string, change: LinkChange): NetlinkMessage {
  const attributes: Buffer[] = [];
  if (typeof link === 'string') attributes.push(attribute.text(attr.name, link));
  if (change.newName !== undefined) {
    if (typeof link === 'string') throw new BoxshipError('internal', 'a link is renamed by its index');
    attributes.push(attribute.text(attr.name, change.newName));
  }
  if (change.mtu !== undefined) attributes.push(attribute.u32(attr.mtu, change.mtu));
  if (change.masterIndex !== undefined) attributes.push(attribute.u32(attr.master, change.masterIndex));
  if (change.macAddress !== undefined) attributes.push(attribute.bytes(attr.address, macToBytes(change.macAddress)));
  if (change.alias !== undefined) attributes.push(attribute.bytes(attr.alias, Buffer.from(change.alias)));
  if (change.namespaceFd !== undefined) attributes.push(attribute.u32(attr.netNsFd, change.namespaceFd));
  if (change.bridgePort !== undefined) {
    const { isHairpin, isIsolated } = change.bridgePort;
    const data: Buffer[] = [];
    if (isHairpin !== undefined) data.push(attribute.u8(port.mode, isHairpin ? 1 : 0));
    if (isIsolated !== undefined) data.push(attribute.u8(port.isolated, isIsolated ? 1 : 0));
    attributes.push(
      attribute.group(
        attr.linkInfo,
        attribute.text(info.slaveKind, 'bridge'),
        attribute.group(info.slaveData, ...data),
      ),
    );
  }
  return {
    type: RTM_NEWLINK,
    flags: 0,
    payload: Buffer.concat([header(typeof link === 'number' ? link : 0, change.isUp), ...attributes]),
    subject: `change link ${link}`,
  };
}

/** Deletes a link given by index or by name. The kernel waits about 20 ms inside: see `executeAsync`. */
export function deleteLink(link: number | string): NetlinkMessage {
  const name = typeof link === 'string' ? [attribute.text(attr.name, link)] : [];
  return {
    type: RTM_DELLINK,
    flags: 0,
    payload: Buffer.concat([header(typeof link === 'number' ? link : 0), ...name]),
    subject: `delete link ${link}`,
  };
}

/** The link of that name; undefined when there is none. */
export function findLink(socket: NetlinkSocket, name: string): Link | undefined {
  const payload = Buffer.concat([header(0), attribute.text(attr.name, name)]);
  try {
    return parseLink(socket.query({ type: RTM_GETLINK, flags: flags.request, payload, subject: `get link ${name}` }));
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return undefined;
    throw error;
  }
}

export function listLinks(socket: NetlinkSocket): Link[] {
  return socket.dump({ type: RTM_GETLINK, flags: 0, payload: header(0), subject: 'list links' }).map(parseLink);
}

/** The name in a notification about a link. */
export const linkNameOf = (payload: Buffer): string => readText(parseAttributes(payload, 16).get(attr.name)) ?? '';

function parseLink(message: ReceivedMessage): Link {
  const { payload } = message;
  const attributes = parseAttributes(payload, 16);
  const bits = payload.readUInt32LE(8);
  const linkInfo = attributes.get(attr.linkInfo);
  const mac = attributes.get(attr.address);
  return {
    index: payload.readInt32LE(4),
    name: readText(attributes.get(attr.name)) ?? '',
    isUp: (bits & IFF_UP) !== 0,
    isRunning: (bits & 0x40) !== 0,
    mtu: attributes.get(attr.mtu)?.readUInt32LE(0) ?? 0,
    macAddress: mac?.length === 6 ? bytesToMac(mac) : '',
    masterIndex: attributes.get(attr.master)?.readUInt32LE(0),
    alias: readText(attributes.get(attr.alias)),
    kind: linkInfo === undefined ? undefined : readText(new Map(listAttributes(linkInfo)).get(info.kind)),
    statistics: parseStatistics(attributes.get(attr.stats64)),
  };
}

/** `struct rtnl_link_stats64`: u64 counters in this order. */
function parseStatistics(payload: Buffer | undefined): LinkStatistics | undefined {
  if (payload === undefined || payload.length < 64) return undefined;
  const at = (index: number): number => Number(payload.readBigUInt64LE(index * 8));
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  };
}
