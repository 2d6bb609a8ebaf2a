/** Nftables over one nfnetlink socket: transactions and the few questions a reconciler asks. */
import { BoxshipError } from '@boxship/base';
import { attribute, flags, listAttributes, type NetlinkMessage, parseAttributes, readText } from '../netlink/codec.ts';
import { isErrno, NetlinkSocket, netlinkProtocol } from '../netlink/socket.ts';
import { type NftBatch, type NftFamily, nftFamily, nftMessage, nftRequest } from './batch.ts';

const NFNL_MSG_BATCH_BEGIN = 16;
const NFNL_MSG_BATCH_END = 17;

export interface NftChain {
  readonly name: string;
  /** Only base chains have one. */
  readonly hook: number | undefined;
  readonly policy: 'accept' | 'drop' | undefined;
}

export interface NftRule {
  readonly handle: bigint;
  /** Name and data of each expression. */
  readonly expressions: readonly { readonly name: string; readonly data: Map<number, Buffer> }[];
}

function batchEdge(type: number): NetlinkMessage {
  // nfgenmsg whose resource id (big endian) names the subsystem
  return { type, flags: flags.request, payload: Buffer.from([0, 0, 0, 10]), subject: 'nftables batch' };
}

export class NftSocket implements Disposable {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Opens in the network namespace of the calling thread and works on that one for ever. */
  static open(): NftSocket {
    return new NftSocket(NetlinkSocket.open(netlinkProtocol.netfilter));
  }

  /** The address of this socket, as notifications name it: see {@link NftWatch}. */
  get port(): number {
    return this.#socket.port;
  }

  /** Applies the batches as one transaction. @throws the first refusal; then nothing was changed */
  commit(...batches: readonly NftBatch[]): void {
    const changes = batches.flatMap((batch) => batch.messages);
    if (changes.length === 0) return;
    for (let attempt = 0; ; attempt++) {
      const messages = [batchEdge(NFNL_MSG_BATCH_BEGIN), ...changes, batchEdge(NFNL_MSG_BATCH_END)];
      const failure = this.#socket.exchange(messages)[0];
      if (failure === undefined) return;
      // another program committed in between or the kernel loaded a module: the transaction is to be sent again
      if (!isErrno(failure.error, 'EAGAIN', 'EINTR') || attempt >= 20) throw failure.error;
    }
  }

  /** A number that changes with every change of the rule set of this namespace, by whomever. */
  generation(): number {
    const message = nftRequest(nftMessage.getGeneration, { family: 0, subject: 'get generation' });
    const id = parseAttributes(this.#socket.query(message).payload, 4).get(1);
    if (id === undefined) throw new BoxshipError('internal', 'nftables: answer without generation');
    return id.readUInt32BE(0);
  }

  hasTable(family: NftFamily, table: string): boolean {
    const options = { family: nftFamily[family], subject: `get table ${table}` };
    try {
      this.#socket.query(nftRequest(nftMessage.getTable, options, attribute.text(1, table)));
      return true;
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return false;
      throw error;
    }
  }

  /** Names of all tables of a family. */
  tables(family: NftFamily): string[] {
    const request = nftRequest(nftMessage.getTable, { family: nftFamily[family], subject: 'list tables' });
    return this.#socket.dump(request).flatMap(({ payload }) => readText(parseAttributes(payload, 4).get(1)) ?? []);
  }

  /** undefined when the table or the chain is missing. */
  chain(family: NftFamily, table: string, name: string): NftChain | undefined {
    const options = { family: nftFamily[family], subject: `get chain ${table} ${name}` };
    try {
      const request = nftRequest(nftMessage.getChain, options, attribute.text(1, table), attribute.text(3, name));
      const attributes = parseAttributes(this.#socket.query(request).payload, 4);
      const hook = attributes.get(4);
      const policy = attributes.get(5)?.readUInt32BE(0);
      return {
        name,
        hook: hook === undefined ? undefined : parseAttributes(hook).get(1)?.readUInt32BE(0),
        policy: policy === undefined ? undefined : policy === 0 ? 'drop' : 'accept',
      };
    } catch (error) {
      if (isErrno(error, 'ENOENT')) return undefined;
      throw error;
    }
  }

  rules(family: NftFamily, table: string, chain: string): NftRule[] {
    const options = { family: nftFamily[family], subject: `list rules ${table} ${chain}` };
    const request = nftRequest(nftMessage.getRule, options, attribute.text(1, table), attribute.text(2, chain));
    const rules: NftRule[] = [];
    for (const { payload } of this.#socket.dump(request)) {
      const attributes = parseAttributes(payload, 4);
      const handle = attributes.get(3);
      // kernels before 5.0 ignore the filter of a dump
      if (handle === undefined || readText(attributes.get(2)) !== chain || readText(attributes.get(1)) !== table)
        continue;
      const list = attributes.get(4);
      rules.push({
        handle: handle.readBigUInt64BE(0),
        expressions: (list === undefined ? [] : listAttributes(list)).map(([, element]) => {
          const parts = parseAttributes(element);
          return { name: readText(parts.get(1)) ?? '', data: parseAttributes(parts.get(2) ?? Buffer.alloc(0)) };
        }),
      });
    }
    return rules;
  }

  [Symbol.dispose](): void {
    this.#socket[Symbol.dispose]();
  }
}
