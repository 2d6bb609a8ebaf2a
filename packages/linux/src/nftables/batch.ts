/**
 * One transaction of nftables: a list of changes that the kernel applies as a whole or not at all. Separate from the socket,
 * because a batch is plain data: it can be built in one place, sent in another, sent again.
 */
import { addressToBytes } from '../netlink/address-text.ts';
import { attribute, flags, type NetlinkMessage } from '../netlink/codec.ts';
import type { Expression } from './expressions.ts';

const NFNL_SUBSYS_NFTABLES = 10;
export const nftMessage = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  delChain: 5,
  newRule: 6,
  getRule: 7,
  delRule: 8,
  newSet: 9,
  delSet: 11,
  newElement: 12,
  getElement: 13,
  delElement: 14,
  getGeneration: 16,
} as const;
export const nftFamily = { inet: 1, ipv4: 2, ipv6: 10 } as const;
export type NftFamily = keyof typeof nftFamily;

const hooks = { prerouting: 0, input: 1, forward: 2, output: 3, postrouting: 4 } as const;

export interface BaseChain {
  readonly type: 'filter' | 'nat';
  readonly hook: keyof typeof hooks;
  readonly priority: number;
}

/** What the userspace tool shows and the kernel takes as opaque: numbers of nft's data types, and lengths in bytes. */
const dataTypes = {
  ipv4: { id: 7, length: 4 },
  ipv6: { id: 8, length: 16 },
  protocol: { id: 12, length: 4 }, // one byte, padded to a register
  port: { id: 13, length: 4 }, // two bytes, padded
  interface: { id: 41, length: 16 },
} as const;
export type SetField = keyof typeof dataTypes;

export interface SetOptions {
  readonly key: readonly SetField[];
  /** Given: a map. */
  readonly data?: readonly SetField[];
  /** Elements are ranges (of one field). */
  readonly isInterval?: boolean;
}

export interface SetElement {
  readonly key: Buffer;
  readonly data?: Buffer;
  readonly isIntervalEnd?: boolean;
}

/** The `nfgenmsg` header: family, version 0, u16 resource. */
export function nftRequest(
  kind: number,
  options: { family: number; flags?: number; subject: string },
  ...attributes: readonly Buffer[]
): NetlinkMessage {
  return {
    type: (NFNL_SUBSYS_NFTABLES << 8) | kind,
    flags: flags.request | (options.flags ?? 0),
    payload: Buffer.concat([Buffer.from([options.family, 0, 0, 0]), ...attributes]),
    subject: options.subject,
  };
}

function widthOf(fields: readonly SetField[]): { type: number; length: number } {
  let type = 0;
  let length = 0;
  for (const field of fields) {
    type = (type << 6) | dataTypes[field].id;
    length += dataTypes[field].length;
  }
  // a lone small field is not padded to its register
  if (fields.length === 1 && fields[0] === 'port') length = 2;
  if (fields.length === 1 && fields[0] === 'protocol') length = 1;
  return { type, length };
}

export class NftBatch {
  readonly #messages: NetlinkMessage[] = [];
  readonly #family: number;
  readonly table: string;
  #setId = 0;

  /** Changes of one table of one family. */
  constructor(family: NftFamily, table: string) {
    this.#family = nftFamily[family];
    this.table = table;
  }

  get messages(): readonly NetlinkMessage[] {
    return this.#messages;
  }

  get isEmpty(): boolean {
    return this.#messages.length === 0;
  }

  #add(kind: number, bits: number, subject: string, ...attributes: readonly Buffer[]): this {
    const options = { family: this.#family, flags: bits, subject: `nftables ${this.table}: ${subject}` };
    this.#messages.push(nftRequest(kind, options, ...attributes));
    return this;
  }

  /** Succeeds when the table is there. */
  addTable(): this {
    return this.#add(
      nftMessage.newTable,
      flags.create,
      'add table',
      attribute.text(1, this.table),
      attribute.be32(2, 0),
    );
  }

  /** With everything in it. Fails when there is none: put {@link addTable} before it to make it idempotent. */
  deleteTable(): this {
    return this.#add(nftMessage.delTable, 0, 'delete table', attribute.text(1, this.table));
  }

  /** A chain; with `base`, one the kernel calls (policy accept). */
  addChain(name: string, base?: BaseChain): this {
    const attributes = [attribute.text(1, this.table), attribute.text(3, name)];
    if (base !== undefined) {
      attributes.push(attribute.nested(4, attribute.be32(1, hooks[base.hook]), attribute.be32(2, base.priority)));
      attributes.push(attribute.text(7, base.type));
    }
    return this.#add(nftMessage.newChain, flags.create, `add chain ${name}`, ...attributes);
  }

  /** Appends a rule, or puts it first. */
  addRule(chain: string, expressions: readonly Expression[], position: 'last' | 'first' = 'last'): this {
    return this.#add(
      nftMessage.newRule,
      flags.create | (position === 'last' ? flags.append : 0),
      `add rule to ${chain}`,
      attribute.text(1, this.table),
      attribute.text(2, chain),
      attribute.nested(4, ...expressions),
    );
  }

  deleteRule(chain: string, handle: bigint): this {
    return this.#add(
      nftMessage.delRule,
      0,
      `delete rule of ${chain}`,
      attribute.text(1, this.table),
      attribute.text(2, chain),
      attribute.be64(3, handle),
    );
  }

  /** A named set or map. */
  addSet(name: string, options: SetOptions): this {
    const key = widthOf(options.key);
    const isMap = options.data !== undefined;
    const attributes = [
      attribute.text(1, this.table),
      attribute.text(2, name),
      attribute.be32(3, (options.isInterval === true ? 4 : 0) | (isMap ? 8 : 0)),
      attribute.be32(4, key.type),
      attribute.be32(5, key.length),
      attribute.be32(10, ++this.#setId),
    ];
    if (options.data !== undefined) {
      const data = widthOf(options.data);
      attributes.push(attribute.be32(6, data.type), attribute.be32(7, data.length));
    }
    // opaque to the kernel: without it `nft list` takes interface names for big-endian numbers and shows them empty
    // (record: type 0 key byte order, length 4, value 1 host order)
    if (options.key.length === 1 && options.key[0] === 'interface')
      attributes.push(attribute.bytes(13, Buffer.from([0, 4, 1, 0, 0, 0])));
    return this.#add(nftMessage.newSet, flags.create, `add set ${name}`, ...attributes);
  }

  /** Succeeds for elements that are there with the same data. */
  addElements(set: string, elements: readonly SetElement[]): this {
    return this.#elements(nftMessage.newElement, flags.create, `add to ${set}`, set, elements);
  }

  /** Fails as a whole when one is missing. */
  deleteElements(set: string, elements: readonly SetElement[]): this {
    return this.#elements(nftMessage.delElement, 0, `delete from ${set}`, set, elements);
  }

  #elements(kind: number, bits: number, subject: string, set: string, elements: readonly SetElement[]): this {
    // a list is one attribute of at most 64 KiB
    for (let at = 0; at < elements.length; at += 400) {
      const list = elements.slice(at, at + 400).map((element) => {
        const parts = [attribute.nested(1, attribute.bytes(1, element.key))];
        if (element.data !== undefined) parts.push(attribute.nested(2, attribute.bytes(1, element.data)));
        if (element.isIntervalEnd === true) parts.push(attribute.be32(3, 1));
        return attribute.nested(1, ...parts);
      });
      this.#add(
        kind,
        bits,
        subject,
        attribute.text(1, this.table),
        attribute.text(2, set),
        attribute.nested(3, ...list),
      );
    }
    return this;
  }
}

/** Bytes of the fields of a key or of data, each padded to its register. */
export const field = {
  address: (text: string): Buffer => addressToBytes(text),
  protocol: (number: number): Buffer => Buffer.from([number, 0, 0, 0]),
  port: (number: number): Buffer => Buffer.from([number >> 8, number & 0xff, 0, 0]),
};

/** The two elements of a range of addresses `first` to `last`; the end element is the first address after it. */
export function intervalElements(first: Buffer, last: Buffer): SetElement[] {
  const after = Buffer.from(last);
  let at = after.length - 1;
  while (at >= 0 && after[at] === 0xff) after[at--] = 0;
  const start = { key: first };
  if (at < 0) return [start]; // up to the last address there is: open end
  after[at] = (after[at] ?? 0) + 1;
  return [start, { key: after, isIntervalEnd: true }];
}
