/** Neighbour entries and forwarding entries of bridges and tunnels (rtnetlink(7), RTM_*NEIGH). */
import { addressToBytes, bytesToAddress, bytesToMac, macToBytes } from './address-text.ts';
import { attribute, flags, type NetlinkMessage, parseAttributes } from './codec.ts';
import type { NetlinkSocket } from './socket.ts';

const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA = { destination: 1, linkLayer: 2 } as const;
const NUD_PERMANENT = 0x80;
const AF_INET = 2;
const AF_INET6 = 10;

export interface Neighbour {
  readonly linkIndex: number;
  readonly address: string;
  readonly macAddress: string;
}

/** `ndmsg`: family, pad, u16 pad, i32 link index, u16 state, u8 flags, u8 type. */
function header(linkIndex: number, isV6: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = isV6 ? AF_INET6 : AF_INET;
  bytes.writeInt32LE(linkIndex, 4);
  bytes.writeUInt16LE(NUD_PERMANENT, 8);
  return bytes;
}

/** A permanent entry, replacing any other. */
export function setNeighbour(options: Neighbour): NetlinkMessage {
  const address = addressToBytes(options.address);
  return {
    type: RTM_NEWNEIGH,
    flags: flags.create | flags.replace,
    payload: Buffer.concat([
      header(options.linkIndex, address.length === 16),
      attribute.bytes(NDA.destination, address),
      attribute.bytes(NDA.linkLayer, macToBytes(options.macAddress)),
    ]),
    subject: `set neighbour ${options.address}`,
  };
}

export function deleteNeighbour(options: Omit<Neighbour, 'macAddress'>): NetlinkMessage {
  const address = addressToBytes(options.address);
  return {
    type: RTM_DELNEIGH,
    flags: 0,
    payload: Buffer.concat([
      header(options.linkIndex, address.length === 16),
      attribute.bytes(NDA.destination, address),
    ]),
    subject: `delete neighbour ${options.address}`,
  };
}

export function listNeighbours(socket: NetlinkSocket): Neighbour[] {
  const found: Neighbour[] = [];
  for (const { payload } of socket.dump({
    type: RTM_GETNEIGH,
    flags: 0,
    payload: Buffer.alloc(12),
    subject: 'list neighbours',
  })) {
    const attributes = parseAttributes(payload, 12);
    const address = attributes.get(NDA.destination);
    const mac = attributes.get(NDA.linkLayer);
    if (address === undefined || mac?.length !== 6) continue;
    found.push({ linkIndex: payload.readInt32LE(4), address: bytesToAddress(address), macAddress: bytesToMac(mac) });
  }
  return found;
}
