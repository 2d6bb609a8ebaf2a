/**
 * Routes (rtnetlink(7), RTM_*ROUTE). Header `rtmsg`: family, destination length, source length, tos, table, protocol, scope,
 * type, u32 flags. A default route is one without destination.
 */
import { addressToBytes, bytesToAddress } from './address-text.ts';
import { attribute, flags, type NetlinkMessage, parseAttributes } from './codec.ts';
import type { NetlinkSocket } from './socket.ts';

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;
const RTA = { destination: 1, oif: 4, gateway: 5, priority: 6, preferredSource: 7, table: 15 } as const;
const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
const RTN_UNICAST = 1;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const AF_INET = 2;
const AF_INET6 = 10;

export interface RouteOptions {
  /** `address/length`; absent: the default route of the gateway's family. */
  readonly destination?: string;
  readonly gateway?: string;
  readonly linkIndex?: number;
}

export interface Route {
  readonly family: 4 | 6;
  /** `address/length`; `default` without one. */
  readonly destination: string;
  readonly gateway: string | undefined;
  readonly linkIndex: number | undefined;
  readonly table: number;
  readonly type: number;
  readonly protocol: number;
}

function request(type: number, bits: number, verb: string, options: RouteOptions): NetlinkMessage {
  const [address, length] = options.destination?.split('/') ?? [];
  const isV6 = (address ?? options.gateway ?? '').includes(':');
  const header = Buffer.alloc(12);
  header[0] = isV6 ? AF_INET6 : AF_INET;
  header[1] = address === undefined ? 0 : Number(length);
  header[4] = RT_TABLE_MAIN;
  header[5] = RTPROT_BOOT;
  header[6] = options.gateway === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header[7] = RTN_UNICAST;
  const attributes: Buffer[] = [];
  if (address !== undefined) attributes.push(attribute.bytes(RTA.destination, addressToBytes(address)));
  if (options.gateway !== undefined) attributes.push(attribute.bytes(RTA.gateway, addressToBytes(options.gateway)));
  if (options.linkIndex !== undefined) attributes.push(attribute.u32(RTA.oif, options.linkIndex));
  return {
    type,
    flags: bits,
    payload: Buffer.concat([header, ...attributes]),
    subject: `${verb} route ${options.destination ?? 'default'} via ${options.gateway ?? 'link'}`,
  };
}

/** Adds a route, or replaces the one to the same destination. */
export function setRoute(options: RouteOptions): NetlinkMessage {
  return request(RTM_NEWROUTE, flags.create | flags.replace, 'set', options);
}

export function deleteRoute(options: RouteOptions): NetlinkMessage {
  return request(RTM_DELROUTE, 0, 'delete', options);
}

/** All routes of all tables. */
export function listRoutes(socket: NetlinkSocket): Route[] {
  const found: Route[] = [];
  for (const { payload } of socket.dump({
    type: RTM_GETROUTE,
    flags: 0,
    payload: Buffer.alloc(12),
    subject: 'list routes',
  })) {
    const family = payload[0];
    if (family !== AF_INET && family !== AF_INET6) continue;
    const attributes = parseAttributes(payload, 12);
    const destination = attributes.get(RTA.destination);
    const gateway = attributes.get(RTA.gateway);
    found.push({
      family: family === AF_INET ? 4 : 6,
      destination: destination === undefined ? 'default' : `${bytesToAddress(destination)}/${payload[1]}`,
      gateway: gateway === undefined ? undefined : bytesToAddress(gateway),
      linkIndex: attributes.get(RTA.oif)?.readUInt32LE(0),
      table: attributes.get(RTA.table)?.readUInt32LE(0) ?? payload[4] ?? 0,
      type: payload[7] ?? 0,
      protocol: payload[5] ?? 0,
    });
  }
  return found;
}
