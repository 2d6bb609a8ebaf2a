/**
 * VXLAN tunnels (RFC 7348) as links, and their forwarding entries: behind which host a MAC is. Facts: an entry of the tunnel
 * itself (`self`) takes the state "permanent", one of the bridge above it (`master`) "no ARP": "permanent" would mean a MAC of
 * the bridge's own. A tunnel that answers ARP itself (`proxy`) asks its neighbour entries and floods nothing.
 */
import { addressToBytes, bytesToAddress, bytesToMac, macToBytes } from './address-text.ts';
import { attribute, flags, listAttributes, type NetlinkMessage, parseAttributes, readText } from './codec.ts';
import { isErrno, type NetlinkSocket } from './socket.ts';

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const IFLA = { name: 3, mtu: 4, master: 10, linkInfo: 18 } as const;
const INFO = { kind: 1, data: 2 } as const;
const VXLAN = { id: 1, local: 4, learning: 7, proxy: 11, l2Miss: 13, l3Miss: 14, port: 15 } as const;
const NDA = { destination: 1, linkLayer: 2 } as const;
const AF_BRIDGE = 7;
const NTF = { self: 2, master: 4 } as const;
const NUD = { noArp: 0x40, permanent: 0x80 } as const;

export interface Vxlan {
  /** VXLAN network identifier, 24 bits. */
  readonly vni: number;
  /** IPv4 address of this host that packets are sent from. */
  readonly local: string;
  /** UDP port. */
  readonly port: number;
}

/** A tunnel that learns nothing from the packets of others and answers ARP itself; down until changed. */
export function newVxlan(
  options: Vxlan & {
    readonly name: string;
    readonly index: number;
    readonly masterIndex: number;
    readonly mtu: number;
  },
): NetlinkMessage {
  const port = Buffer.alloc(2);
  port.writeUInt16BE(options.port);
  const data = [
    attribute.u32(VXLAN.id, options.vni),
    attribute.bytes(VXLAN.local, addressToBytes(options.local)),
    attribute.u8(VXLAN.learning, 0),
    attribute.u8(VXLAN.proxy, 1),
    attribute.u8(VXLAN.l2Miss, 0),
    attribute.u8(VXLAN.l3Miss, 0),
    attribute.bytes(VXLAN.port, port),
  ];
  const header = Buffer.alloc(16);
  header.writeInt32LE(options.index, 4);
  return {
    type: RTM_NEWLINK,
    flags: flags.create | flags.exclusive,
    payload: Buffer.concat([
      header,
      attribute.text(IFLA.name, options.name),
      attribute.u32(IFLA.mtu, options.mtu),
      attribute.u32(IFLA.master, options.masterIndex),
      attribute.group(IFLA.linkInfo, attribute.text(INFO.kind, 'vxlan'), attribute.group(INFO.data, ...data)),
    ]),
    subject: `create vxlan ${options.name}`,
  };
}

/** How a tunnel was made; undefined when there is none of that name. */
export function vxlanNamed(socket: NetlinkSocket, name: string): Vxlan | undefined {
  const payload = Buffer.concat([Buffer.alloc(16), attribute.text(IFLA.name, name)]);
  let reply: Buffer;
  try {
    reply = socket.query({ type: RTM_GETLINK, flags: flags.request, payload, subject: `get link ${name}` }).payload;
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return undefined;
    throw error;
  }
  const linkInfo = new Map(listAttributes(parseAttributes(reply, 16).get(IFLA.linkInfo) ?? Buffer.alloc(0)));
  if (readText(linkInfo.get(INFO.kind)) !== 'vxlan') return undefined;
  const data = new Map(listAttributes(linkInfo.get(INFO.data) ?? Buffer.alloc(0)));
  const local = data.get(VXLAN.local);
  return {
    vni: data.get(VXLAN.id)?.readUInt32LE(0) ?? 0,
    local: local === undefined ? '' : bytesToAddress(local),
    port: data.get(VXLAN.port)?.readUInt16BE(0) ?? 0,
  };
}

/** Behind which host a MAC is. */
export interface Forwarding {
  readonly linkIndex: number;
  readonly macAddress: string;
  /** Address of the host. */
  readonly host: string;
}

/** `ndmsg`: family, pad, u16 pad, i32 link index, u16 state, u8 flags, u8 type. */
function header(linkIndex: number, state: number, ntf: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes[0] = AF_BRIDGE;
  bytes.writeInt32LE(linkIndex, 4);
  bytes.writeUInt16LE(state, 8);
  bytes[10] = ntf;
  return bytes;
}

/** The entries of tunnel and bridge for one MAC, replacing others. */
export function setForwarding({ linkIndex, macAddress, host }: Forwarding): NetlinkMessage[] {
  const mac = attribute.bytes(NDA.linkLayer, macToBytes(macAddress));
  const request = (payload: Buffer[]): NetlinkMessage => ({
    type: RTM_NEWNEIGH,
    flags: flags.create | flags.replace,
    payload: Buffer.concat(payload),
    subject: `set forwarding of ${macAddress}`,
  });
  const destination = attribute.bytes(NDA.destination, addressToBytes(host));
  return [
    request([header(linkIndex, NUD.permanent, NTF.self), mac, destination]),
    request([header(linkIndex, NUD.noArp, NTF.master), mac]),
  ];
}

/** Each may fail with ENOENT: it is not there. */
export function deleteForwarding({ linkIndex, macAddress }: Omit<Forwarding, 'host'>): NetlinkMessage[] {
  return [NTF.self, NTF.master].map((ntf) => ({
    type: RTM_DELNEIGH,
    flags: 0,
    payload: Buffer.concat([header(linkIndex, 0, ntf), attribute.bytes(NDA.linkLayer, macToBytes(macAddress))]),
    subject: `delete forwarding of ${macAddress}`,
  }));
}

/** The entries of one tunnel. */
export function listForwarding(socket: NetlinkSocket, linkIndex: number): Forwarding[] {
  // with the header of a link the kernel filters by it, and gives the entries of the tunnel itself
  const request = Buffer.alloc(16);
  request[0] = AF_BRIDGE;
  request.writeInt32LE(linkIndex, 4);
  const found: Forwarding[] = [];
  for (const { payload } of socket.dump({
    type: RTM_GETNEIGH,
    flags: 0,
    payload: request,
    subject: 'list forwarding',
  })) {
    const attributes = parseAttributes(payload, 12);
    const host = attributes.get(NDA.destination);
    const mac = attributes.get(NDA.linkLayer);
    if (payload.readInt32LE(4) !== linkIndex || host === undefined || mac?.length !== 6) continue;
    found.push({ linkIndex, macAddress: bytesToMac(mac), host: bytesToAddress(host) });
  }
  return found;
}
