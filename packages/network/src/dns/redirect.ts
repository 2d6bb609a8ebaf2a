/**
 * Port 53 of 127.0.0.11 leads to the resolver's own port, so that a container may itself listen on port 53 of every address. The
 * rules are a table of their own inside of the sandbox; connection tracking turns answers back.
 */
import { addressToBytes, NftBatch, NftSocket, nftField, nftExpression as x } from '@boxship/linux';
import { protocolNumber } from '../firewall/firewall.ts';
import { resolverAddress } from './server.ts';

const table = 'boxship-dns';
const dnsPort = 53;
const destinationOffset = 16;

/** As the packet has it; a field of a set would be padded. */
const portBytes = (port: number): Buffer => nftField.port(port).subarray(0, 2);

/** Replaces what was there, in one transaction. Call it inside of the sandbox. */
export function redirect(port: number): void {
  const batch = new NftBatch('ipv4', table).addTable().deleteTable().addTable();
  batch.addChain('output', { type: 'nat', hook: 'output', priority: -100 });
  const address = addressToBytes(resolverAddress);
  for (const protocol of [protocolNumber.udp, protocolNumber.tcp])
    batch.addRule('output', [
      x.payload(1, destinationOffset, 4),
      x.compare('==', address),
      x.meta(x.metaKey.l4Proto),
      x.compare('==', Buffer.from([protocol])),
      x.payload(2, 2, 2),
      x.compare('==', portBytes(dnsPort)),
      x.load(address, 1),
      x.load(portBytes(port), 9),
      x.dnat(4, { address: 1, port: 9 }),
    ]);
  using nft = NftSocket.open();
  nft.commit(batch);
}
