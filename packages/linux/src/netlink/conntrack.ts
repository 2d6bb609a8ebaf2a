/**
 * Connection tracking entries (nfnetlink, subsystem 1): found by destination port and deleted. Needed because a UDP "connection"
 * has no end: while packets flow, its entry keeps sending them where the translation once said.
 */
import { attribute, flags, type NetlinkMessage, parseAttributes } from './codec.ts';
import { isErrno, type NetlinkSocket } from './socket.ts';

const IPCTNL_MSG_CT_GET = (1 << 8) | 1;
const IPCTNL_MSG_CT_DELETE = (1 << 8) | 2;
const CTA = { tupleOrig: 1, filter: 25 } as const;
const CTA_TUPLE_PROTO = 2;
const CTA_PROTO = { number: 1, destinationPort: 3 } as const;
const CTA_FILTER_ORIG_FLAGS = 1;
/** Bits of the kernel's filter: compare the protocol number and the destination port of the first packet. */
const comparedFields = (1 << 3) | (1 << 5);
const families = [2, 10] as const;

/**
 * Deletes the entries whose first packet went to that port of this host, of both families.
 * @param socket a socket of the protocol `netfilter`
 */
export function deleteConnections(socket: NetlinkSocket, protocol: number, destinationPort: number): void {
  const tuple = attribute.nested(
    CTA.tupleOrig,
    attribute.nested(
      CTA_TUPLE_PROTO,
      attribute.u8(CTA_PROTO.number, protocol),
      attribute.be16(CTA_PROTO.destinationPort, destinationPort),
    ),
  );
  const filter = attribute.nested(CTA.filter, attribute.u32(CTA_FILTER_ORIG_FLAGS, comparedFields));
  for (const family of families) {
    const header = Buffer.from([family, 0, 0, 0]);
    const request = (type: number, ...attributes: readonly Buffer[]): NetlinkMessage => ({
      type,
      flags: flags.request,
      payload: Buffer.concat([header, ...attributes]),
      subject: `connections to port ${destinationPort}`,
    });
    for (const { payload } of socket.dump(request(IPCTNL_MSG_CT_GET, tuple, filter))) {
      const original = parseAttributes(payload, 4).get(CTA.tupleOrig);
      if (original === undefined) continue;
      const proto = parseAttributes(parseAttributes(original).get(CTA_TUPLE_PROTO) ?? Buffer.alloc(0));
      // kernels before 5.9 do not filter
      if (proto.get(CTA_PROTO.number)?.[0] !== protocol) continue;
      if (proto.get(CTA_PROTO.destinationPort)?.readUInt16BE(0) !== destinationPort) continue;
      const [failure] = socket.attempt(request(IPCTNL_MSG_CT_DELETE, attribute.nested(CTA.tupleOrig, original)));
      // it may have timed out meanwhile
      if (failure !== undefined && !isErrno(failure.error, 'ENOENT')) throw failure.error;
    }
  }
}
