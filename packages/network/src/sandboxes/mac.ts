/** The MAC of an endpoint that was given none. */
import { addressToBytes, bytesToMac } from '@boxship/linux';

/** Docker's: 02:42 and the IPv4 address, so that an address always comes back with the same MAC. */
export function macOf(ipv4: string, id: string): string {
  return bytesToMac(
    Buffer.from([0x02, 0x42, ...(ipv4 === '' ? Buffer.from(id.slice(0, 8), 'hex') : addressToBytes(ipv4))]),
  );
}
