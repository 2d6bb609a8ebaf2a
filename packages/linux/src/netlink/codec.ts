/**
 * The bytes of netlink (netlink(7), little-endian hosts): messages, attributes, and their way back. Pure functions, separate
 * from the socket so that every layout can be tested without a kernel.
 *
 * A message is `nlmsghdr` (u32 length, u16 type, u16 flags, u32 sequence, u32 port), a fixed header of the family, then
 * attributes: u16 length (with its own 4 bytes), u16 type, payload, padding to 4.
 */

export const flags = {
  request: 1,
  ack: 4,
  dump: 0x300,
  replace: 0x100,
  exclusive: 0x200,
  create: 0x400,
  append: 0x800,
} as const;

const nestedFlag = 0x8000;
const typeMask = 0x3fff;

/** One request, not yet numbered. */
export interface NetlinkMessage {
  readonly type: number;
  readonly flags: number;
  /** Family header and attributes. */
  readonly payload: Buffer;
  /** What is being asked, for errors: `create link br0`. */
  readonly subject: string;
}

/** A message as received. */
export interface ReceivedMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** In notifications: the socket whose request caused it; 0 is the kernel itself. */
  readonly port: number;
  readonly payload: Buffer;
}

const pad4 = (length: number): number => (length + 3) & ~3;

function attributeOf(type: number, payload: Uint8Array): Buffer {
  const buffer = Buffer.alloc(pad4(payload.length + 4));
  buffer.writeUInt16LE(payload.length + 4, 0);
  buffer.writeUInt16LE(type, 2);
  buffer.set(payload, 4);
  return buffer;
}

function fixed(size: number, write: (buffer: Buffer) => void): (type: number) => Buffer {
  const buffer = Buffer.alloc(size);
  write(buffer);
  return (type) => attributeOf(type, buffer);
}

/** Encoders of one attribute each. */
export const attribute = {
  u8: (type: number, value: number): Buffer => fixed(1, (b) => b.writeUInt8(value))(type),
  u16: (type: number, value: number): Buffer => fixed(2, (b) => b.writeUInt16LE(value))(type),
  u32: (type: number, value: number): Buffer => fixed(4, (b) => b.writeUInt32LE(value >>> 0))(type),
  /** Big endian, as netfilter and ports on the wire have it. */
  be16: (type: number, value: number): Buffer => fixed(2, (b) => b.writeUInt16BE(value))(type),
  be32: (type: number, value: number): Buffer => fixed(4, (b) => b.writeUInt32BE(value >>> 0))(type),
  be64: (type: number, value: bigint): Buffer => fixed(8, (b) => b.writeBigUInt64BE(value))(type),
  /** NUL-terminated. */
  text: (type: number, value: string): Buffer => attributeOf(type, Buffer.from(`${value}\0`)),
  bytes: (type: number, value: Uint8Array): Buffer => attributeOf(type, value),
  nested: (type: number, ...children: readonly Buffer[]): Buffer =>
    attributeOf(type | nestedFlag, Buffer.concat(children)),
  /** Nested without the flag: link kinds of rtnetlink predate it. */
  group: (type: number, ...children: readonly Buffer[]): Buffer => attributeOf(type, Buffer.concat(children)),
};

/** The attributes in `bytes` from `offset` on, by type; of repeated types the last one. */
export function parseAttributes(bytes: Buffer, offset = 0): Map<number, Buffer> {
  const found = new Map<number, Buffer>();
  for (const [type, payload] of listAttributes(bytes, offset)) found.set(type, payload);
  return found;
}

/** All attributes in order, repeated types included (lists of expressions or elements). */
export function listAttributes(bytes: Buffer, offset = 0): [type: number, payload: Buffer][] {
  const found: [number, Buffer][] = [];
  let at = offset;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break; // a truncated tail carries no further attribute
    found.push([bytes.readUInt16LE(at + 2) & typeMask, bytes.subarray(at + 4, at + length)]);
    at += pad4(length);
  }
  return found;
}

/** A NUL-terminated string. */
export function readText(payload: Buffer | undefined): string | undefined {
  if (payload === undefined) return undefined;
  const end = payload.indexOf(0);
  return payload.toString('utf8', 0, end === -1 ? payload.length : end);
}

/** Messages with consecutive sequence numbers, ready to be sent in one call. */
export function encodeMessages(messages: readonly NetlinkMessage[], firstSequence: number): Buffer {
  const parts: Buffer[] = [];
  for (const [index, message] of messages.entries()) {
    const length = 16 + message.payload.length;
    const header = Buffer.alloc(16);
    header.writeUInt32LE(length, 0);
    header.writeUInt16LE(message.type, 4);
    header.writeUInt16LE(message.flags, 6);
    header.writeUInt32LE((firstSequence + index) >>> 0, 8);
    parts.push(header, message.payload);
    if (length % 4 !== 0) parts.push(Buffer.alloc(4 - (length % 4)));
  }
  return Buffer.concat(parts);
}

/** The messages in one received datagram. */
export function decodeMessages(datagram: Buffer): ReceivedMessage[] {
  const messages: ReceivedMessage[] = [];
  let at = 0;
  while (at + 16 <= datagram.length) {
    const length = datagram.readUInt32LE(at);
    if (length < 16 || at + length > datagram.length) break;
    messages.push({
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      port: datagram.readUInt32LE(at + 12),
      payload: datagram.subarray(at + 16, at + length),
    });
    at += pad4(length);
  }
  return messages;
}
