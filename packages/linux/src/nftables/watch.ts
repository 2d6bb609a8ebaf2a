/** What other programs change in the rule sets of a namespace, told by the kernel (NFNLGRP_NFTABLES). */
import { parseAttributes, readText } from '../netlink/codec.ts';
import { NetlinkSocket, netlinkGroup, netlinkProtocol } from '../netlink/socket.ts';

export interface NftChanges {
  /** Something was changed, in any table. */
  readonly isAny: boolean;
  /** A table of the name asked about was changed, of whichever family. Lost notifications count as such a change. */
  readonly isTable: boolean;
}

const NFT_MSG_NEWGEN = 15;

export class NftWatch implements Disposable {
  readonly #socket: NetlinkSocket;
  readonly #own: number;

  private constructor(socket: NetlinkSocket, own: number) {
    this.#socket = socket;
    this.#own = own;
  }

  /** Watches the namespace of the calling thread from now on. `own`: {@link NftSocket.port} whose changes are not told. */
  static open(own: number): NftWatch {
    const socket = NetlinkSocket.open(netlinkProtocol.netfilter);
    socket.subscribe(netlinkGroup.nftables);
    return new NftWatch(socket, own);
  }

  /** What happened since the last call; does not wait. */
  take(table: string): NftChanges {
    const { messages, isLossy } = this.#socket.drain();
    const foreign = messages.filter(({ type, port }) => port !== this.#own && (type & 0xff) !== NFT_MSG_NEWGEN);
    // the name of the table is attribute 1 of every object
    const isTable = foreign.some(({ payload }) => readText(parseAttributes(payload, 4).get(1)) === table);
    return { isAny: isLossy || foreign.length > 0, isTable: isLossy || isTable };
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
