/**
 * Port 53 of 127.0.0.11 leads to the resolver's own port, so that a container may itself listen on port 53 of every address. The
 * rules are a table of their own inside of the sandbox; connection tracking turns answers back. They outlive the controller, and
 * are left alone when they are right: the kernel needs 10 ms to take a table away, and there may be hundreds of sandboxes.
 *
 * While no controller lives, queries get no answer rather than the kernel's refusal: a client that is refused gives up at once, one
 * that hears nothing asks again, and is answered by the successor.
 */
import { addressToBytes, NftBatch, NftSocket, nftField, nftExpression as x } from '@boxship/linux';
import { resolverAddress } from './server.ts';

const table = 'boxship-dns';
const chain = 'output';
const dnsPort = 53;
const sourceOffset = 12;
const destinationOffset = 16;
const protocols = { udp: 17, tcp: 6 } as const;
const icmp = { protocol: 1, unreachable: 3 } as const;

/** As the packet has it; a field of a set would be padded. */
const portBytes = (port: number): Buffer => nftField.port(port).subarray(0, 2);

/** Makes the rules say `port`. Call it inside of the sandbox. */
export function redirect(port: number): void {
  using nft = NftSocket.open();
  const isThere = nft.hasTable('ipv4', table);
  if (isThere && isRight(nft, port)) return;
  const batch = new NftBatch('ipv4', table);
  if (isThere) batch.deleteTable();
  batch.addTable().addChain(chain, { type: 'nat', hook: 'output', priority: -100 });
  const address = addressToBytes(resolverAddress);
  for (const protocol of Object.values(protocols))
    batch.addRule(chain, [
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
  batch.addChain('silence', { type: 'filter', hook: 'output', priority: 0 });
  batch.addRule('silence', [
    x.payload(1, sourceOffset, 4),
    x.compare('==', address),
    x.meta(x.metaKey.l4Proto),
    x.compare('==', Buffer.from([icmp.protocol])),
    x.payload(2, 0, 1),
    x.compare('==', Buffer.from([icmp.unreachable])),
    x.verdict('drop'),
  ]);
  nft.commit(batch);
}

/** Both rules load this port as their last value. */
function isRight(nft: NftSocket, port: number): boolean {
  const rules = nft.rules('ipv4', table, chain);
  return (
    rules.length === Object.keys(protocols).length &&
    rules.every(({ expressions }) => {
      const value = expressions.findLast(({ name }) => name === 'immediate')?.data.get(2); // NFTA_DATA_VALUE behind 4 bytes
      return value?.subarray(4, 6).equals(portBytes(port)) === true;
    })
  );
}
