/** Addresses of links (rtnetlink(7), RTM_*ADDR). Header `ifaddrmsg`: family, prefix length, flags, scope, u32 link index. */
import { addressToBytes, bytesToAddress } from './address-text.ts';
import { attribute, flags, type NetlinkMessage, parseAttributes } from './codec.ts';
import type { NetlinkSocket } from './socket.ts';

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA = { address: 1, local: 2, broadcast: 4, flags: 8 } as const;
const IFA_F_NODAD = 2;
const AF_INET = 2;
const AF_INET6 = 10;

export interface LinkAddress {
  readonly linkIndex: number;
  readonly address: string;
  readonly prefixLength: number;
}

function request(
  type: number,
  options: LinkAddress & { broadcast?: string },
  verb: string,
  bits: number,
): NetlinkMessage {
  const bytes = addressToBytes(options.address);
  const isV4 = bytes.length === 4;
  const header = Buffer.alloc(8);
  header[0] = isV4 ? AF_INET : AF_INET6;
  header[1] = options.prefixLength;
  header.writeUInt32LE(options.linkIndex, 4);
  const attributes = [attribute.bytes(IFA.local, bytes), attribute.bytes(IFA.address, bytes)];
  if (options.broadcast !== undefined)
    attributes.push(attribute.bytes(IFA.broadcast, addressToBytes(options.broadcast)));
  // duplicate address detection would keep the address unusable for a second; IPAM already owns it
  if (!isV4 && type === RTM_NEWADDR) attributes.push(attribute.u32(IFA.flags, IFA_F_NODAD));
  return {
    type,
    flags: bits,
    payload: Buffer.concat([header, ...attributes]),
    subject: `${verb} address ${options.address}/${options.prefixLength}`,
  };
}

export function newAddress(options: LinkAddress & { readonly broadcast?: string }): NetlinkMessage {
  return request(RTM_NEWADDR, options, 'add', flags.create | flags.exclusive);
}

export function deleteAddress(options: LinkAddress): NetlinkMessage {
  return request(RTM_DELADDR, options, 'delete', 0);
}

/** All addresses of the namespace, of one link if given. */
export function listAddresses(socket: NetlinkSocket, linkIndex?: number): LinkAddress[] {
  const found: LinkAddress[] = [];
  for (const { payload } of socket.dump({
    type: RTM_GETADDR,
    flags: 0,
    payload: Buffer.alloc(8),
    subject: 'list addresses',
  })) {
    const attributes = parseAttributes(payload, 8);
    const bytes = attributes.get(IFA.local) ?? attributes.get(IFA.address);
    const index = payload.readUInt32LE(4);
    if (bytes === undefined || (linkIndex !== undefined && linkIndex !== index)) continue;
    found.push({ linkIndex: index, address: bytesToAddress(bytes), prefixLength: payload[1] ?? 0 });
  }
  return found;
}
