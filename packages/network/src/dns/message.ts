/**
 * DNS messages (RFC 1035 section 4, EDNS of RFC 6891), as much as a resolver needs that answers for names of its own and passes
 * everything else on as bytes: the one question of a query, answers of addresses and names, and whether an answer belongs to a
 * query. Strict: names in questions are never compressed, every length is checked before it is used.
 */
import { BoxshipError } from '@boxship/base';
import { addressToBytes } from '@boxship/linux';

export const recordType = { a: 1, ptr: 12, aaaa: 28, opt: 41, any: 255 } as const;
export const responseCode = {
  noError: 0,
  formatError: 1,
  serverFailure: 2,
  notImplemented: 4,
  refused: 5,
} as const;

const headerSize = 12;
const classInternet = 1;
/** A pointer to the name right after the header: the question's. */
const questionName = Buffer.from([0xc0, headerSize]);
/** What a client without EDNS takes over UDP, and what we offer. */
const plainPayload = 512;
export const maxPayload = 4096;

export interface Query {
  readonly bytes: Buffer;
  readonly id: number;
  /** In the case it was asked in, without the last dot; dots and unprintable bytes of labels are escaped. `''` is the root. */
  readonly name: string;
  readonly type: number;
  /** The question lies between the header and here. */
  readonly questionEnd: number;
  /** Bytes the client takes over UDP. */
  readonly payloadSize: number;
  readonly hasEdns: boolean;
}

/** The refusal of a message: with the code it is answered with, or without one, as it is itself an answer or has no header. */
const refusal = (code?: number): BoxshipError =>
  new BoxshipError('invalidArgument', 'malformed or unsupported DNS query', { details: { responseCode: code } });

/** How a message that {@link parseQuery} refused is to be answered; undefined: not at all. @throws any other error */
export function answerToRefused(message: Buffer, error: unknown): Buffer | undefined {
  if (!BoxshipError.is(error, 'invalidArgument')) throw error;
  const code = error.details['responseCode'];
  return typeof code === 'number' ? headerOf(message, code) : undefined;
}

/** Reads a query. @throws invalidArgument, see {@link answerToRefused} */
export function parseQuery(bytes: Buffer): Query {
  if (bytes.length < headerSize || (bytes.readUInt8(2) & 0x80) !== 0) throw refusal();
  if ((bytes.readUInt8(2) & 0x78) !== 0) throw refusal(responseCode.notImplemented); // only QUERY
  // one question, no answers: what every resolver sends and every server takes
  if (bytes.readUInt16BE(4) !== 1 || bytes.readUInt32BE(6) !== 0) throw refusal(responseCode.formatError);
  const { name, end } = readName(bytes, headerSize);
  if (end + 4 > bytes.length) throw refusal(responseCode.formatError);
  if (bytes.readUInt16BE(end + 2) !== classInternet) throw refusal(responseCode.refused);
  const edns = readEdns(bytes, end + 4, bytes.readUInt16BE(10));
  return {
    bytes,
    id: bytes.readUInt16BE(0),
    name,
    type: bytes.readUInt16BE(end),
    questionEnd: end + 4,
    payloadSize: Math.min(Math.max(edns ?? 0, plainPayload), maxPayload),
    hasEdns: edns !== undefined,
  };
}

function readName(bytes: Buffer, start: number): { name: string; end: number } {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = bytes[at];
    // longer than 63: a compression pointer or worse; 255 bytes is the limit of a whole name
    if (length === undefined || length > 63 || at + 1 + length > bytes.length || at + 1 - start > 255)
      throw refusal(responseCode.formatError);
    at += 1 + length;
    if (length === 0) return { name: labels.join('.'), end: at };
    labels.push(escapeLabel(bytes.toString('latin1', at - length, at)));
  }
}

const escapeLabel = (label: string): string =>
  label.replaceAll(/[.\\]|[^!-~]/g, (byte) =>
    byte === '.' || byte === '\\' ? `\\${byte}` : `\\${String(byte.charCodeAt(0)).padStart(3, '0')}`,
  );

/** The payload size of an OPT record; undefined without one. Other additional records are skipped. */
function readEdns(bytes: Buffer, start: number, count: number): number | undefined {
  let at = start;
  let size: number | undefined;
  for (let index = 0; index < count; index++) {
    const isRoot = bytes[at] === 0;
    at = isRoot ? at + 1 : readName(bytes, at).end;
    if (at + 10 > bytes.length) throw refusal(responseCode.formatError);
    if (bytes.readUInt16BE(at) === recordType.opt) {
      if (!isRoot || size !== undefined) throw refusal(responseCode.formatError); // RFC 6891 6.1.1
      size = bytes.readUInt16BE(at + 2);
    }
    at += 10 + bytes.readUInt16BE(at + 8);
    if (at > bytes.length) throw refusal(responseCode.formatError);
  }
  return size;
}

/** One record about the name of the question. */
export interface Answer {
  readonly type: number;
  readonly ttlSeconds: number;
  readonly data: Buffer;
}

export const addressAnswer = (address: string, ttlSeconds: number): Answer => ({
  type: address.includes(':') ? recordType.aaaa : recordType.a,
  ttlSeconds,
  data: addressToBytes(address),
});

/** @param name in ASCII, without escapes */
export const pointerAnswer = (name: string, ttlSeconds: number): Answer => ({
  type: recordType.ptr,
  ttlSeconds,
  data: encodeName(name),
});

function encodeName(name: string): Buffer {
  const parts: Buffer[] = [];
  for (const label of name.split('.')) {
    const bytes = Buffer.from(label, 'latin1');
    if (bytes.length === 0 || bytes.length > 63)
      throw new BoxshipError('invalidArgument', `"${name}" is no name of the DNS: labels have 1 to 63 bytes`);
    parts.push(Buffer.from([bytes.length]), bytes);
  }
  return Buffer.concat([...parts, Buffer.from([0])]);
}

/** Our own answer: to a name we know (authoritative), or an error. Records beyond `limit` bytes are left out and TC is set. */
export function encodeAnswer(query: Query, code: number, answers: readonly Answer[], limit: number): Buffer {
  const question = query.bytes.subarray(headerSize, query.questionEnd);
  const edns = query.hasEdns ? ednsRecord() : Buffer.alloc(0);
  const records: Buffer[] = [];
  let size = headerSize + question.length + edns.length;
  for (const { type, ttlSeconds, data } of answers) {
    const fixed = Buffer.alloc(10);
    fixed.writeUInt16BE(type, 0);
    fixed.writeUInt16BE(classInternet, 2);
    fixed.writeUInt32BE(ttlSeconds, 4);
    fixed.writeUInt16BE(data.length, 8);
    size += questionName.length + fixed.length + data.length;
    if (size > limit) break;
    records.push(questionName, fixed, data);
  }
  const count = records.length / 3;
  const header = headerOf(query.bytes, code);
  if (code === responseCode.noError) header[2] = (header[2] ?? 0) | 0x04; // AA
  if (count < answers.length) header[2] = (header[2] ?? 0) | 0x02; // TC
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(count, 6);
  header.writeUInt16BE(query.hasEdns ? 1 : 0, 10);
  return Buffer.concat([header, question, ...records, edns]);
}

/** Header of an answer without any section: QR, the client's RD, RA. */
function headerOf(query: Buffer, code: number): Buffer {
  const header = Buffer.alloc(headerSize);
  query.copy(header, 0, 0, 2);
  header[2] = 0x80 | ((query[2] ?? 0) & 0x79);
  header[3] = 0x80 | code;
  return header;
}

/** OPT: root name, type, payload size, nothing else. */
function ednsRecord(): Buffer {
  const record = Buffer.alloc(11);
  record.writeUInt16BE(recordType.opt, 1);
  record.writeUInt16BE(maxPayload, 3);
  return record;
}

/**
 * The query as it goes to another server: another id, and letters in random case, which the server repeats and a forger has to
 * guess (draft-vixie-dnsext-dns0x20).
 */
export function disguise(query: Query, id: number, random: Buffer): Buffer {
  const bytes = Buffer.from(query.bytes);
  bytes.writeUInt16BE(id, 0);
  // lengths of labels are at most 63, letters begin at 65
  for (let at = headerSize; at < query.questionEnd - 4; at++)
    if (isLetter(bytes[at] ?? 0) && ((random[at % random.length] ?? 0) & 1) === 1) bytes[at] = (bytes[at] ?? 0) ^ 0x20;
  return bytes;
}

const isLetter = (byte: number): boolean => (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;

/** How well an answer fits the bytes that were sent: `other` belongs to something else. */
export function fitOf(sent: Buffer, questionEnd: number, answer: Buffer): 'exact' | 'otherCase' | 'other' {
  if (answer.length < questionEnd || (answer[2] ?? 0) < 0x80) return 'other';
  if (answer.readUInt16BE(0) !== sent.readUInt16BE(0) || answer.readUInt16BE(4) !== 1) return 'other';
  const asked = sent.subarray(headerSize, questionEnd);
  const repeated = answer.subarray(headerSize, questionEnd);
  if (asked.equals(repeated)) return 'exact';
  const lower = (bytes: Buffer): string => bytes.toString('latin1').toLowerCase();
  return lower(asked) === lower(repeated) ? 'otherCase' : 'other';
}

/** Another server's answer as the client gets it: under its own id, with the question in its own case. */
export function undisguise(query: Query, answer: Buffer): Buffer {
  const bytes = Buffer.from(answer);
  bytes.writeUInt16BE(query.id, 0);
  query.bytes.copy(bytes, headerSize, headerSize, query.questionEnd);
  return bytes;
}

export const responseCodeOf = (answer: Buffer): number => (answer[3] ?? 0) & 0x0f;
