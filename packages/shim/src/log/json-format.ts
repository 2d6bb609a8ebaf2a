/**
 * Records of Docker's json-file driver: `{"log":"text\n","stream":"stdout","attrs":{…},"time":"RFC3339Nano"}` and a
 * newline. Parts of a cut line have no `\n` in their text. Written byte by byte because this is the hottest loop of the
 * shim: JSON.stringify of each line would cost five times as much.
 */
import type { EncodedLines, LogFormat, LogPiece, StreamName } from './format.ts';
import { isPlainText } from './plain-text.ts';

const COPY = 0;
const HEX = 1; // \u00xx
const SHORT = 2; // backslash and one character
const MULTIBYTE = 3;

// as Docker's own encoder: besides what JSON demands, < > & are escaped, and of the short forms only \n and \r are used
const classes = new Uint8Array(256);
for (let byte = 0; byte < 0x20; byte++) classes[byte] = HEX;
for (const char of '<>&') classes[char.charCodeAt(0)] = HEX;
for (const byte of [0x0a, 0x0d, 0x22, 0x5c]) classes[byte] = SHORT;
for (let byte = 0x80; byte < 0x100; byte++) classes[byte] = MULTIBYTE;

const hexDigits = Buffer.from('0123456789abcdef');
const prefix = Buffer.from('{"log":"');
const replacement = Buffer.from('\\ufffd');
const newlineText = Buffer.from('\\n');
const BACKSLASH = 0x5c;

/** `2026-01-02T03:04:05.123456789Z`, trailing zeros of the fraction left out, as Go's RFC3339Nano. */
export function rfc3339Nano(epochNs: bigint): string {
  const seconds = new Date(Number(epochNs / 1_000_000n)).toISOString().slice(0, 19);
  const fraction = String(epochNs % 1_000_000_000n)
    .padStart(9, '0')
    .replace(/0+$/, '');
  return fraction === '' ? `${seconds}Z` : `${seconds}.${fraction}Z`;
}

export class JsonFormat implements LogFormat {
  readonly isLineBased = true;
  readonly #attrs: string;
  readonly #suffixes: Record<StreamName, Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) };
  #second = -1n;
  #secondText = '';

  /** @param attrs labels and environment of `--log-opt labels=…`, written into each record */
  constructor(attrs: Readonly<Record<string, string>> = {}) {
    this.#attrs = Object.keys(attrs).length === 0 ? '' : `,"attrs":${JSON.stringify(attrs)}`;
  }

  maxRecordBytes(contentBytes: number): number {
    return contentBytes * 6 + this.#attrs.length * 4 + 128;
  }

  setTime(epochNs: bigint): void {
    const second = epochNs / 1_000_000_000n;
    if (second !== this.#second) {
      this.#second = second;
      this.#secondText = new Date(Number(second) * 1000).toISOString().slice(0, 19);
    }
    const fraction = String(epochNs % 1_000_000_000n)
      .padStart(9, '0')
      .replace(/0+$/, '');
    const time = fraction === '' ? `${this.#secondText}Z` : `${this.#secondText}.${fraction}Z`;
    for (const stream of ['stdout', 'stderr'] as const)
      this.#suffixes[stream] = Buffer.from(`","stream":"${stream}"${this.#attrs},"time":"${time}"}\n`);
  }

  encode(out: Buffer, start: number, piece: LogPiece): number {
    let at = start + prefix.copy(out, start);
    at = escapeText(out, at, piece.bytes, piece.from, piece.to);
    if (piece.isLineEnd) at += newlineText.copy(out, at);
    const suffix = this.#suffixes[piece.stream];
    return at + suffix.copy(out, at);
  }

  /**
   * Text without anything to escape: what stands between two lines is always the same, so the engine's own split and join
   * do it, at three times the speed of {@link escapeText}.
   */
  encodeLines(stream: StreamName, bytes: Buffer, from: number, to: number): EncodedLines | undefined {
    if (!isPlainText(bytes, from, to)) return undefined;
    const lines = bytes.toString('latin1', from, to).split('\n');
    const end = `\\n${this.#suffixes[stream].toString('latin1')}`;
    const start = prefix.toString('latin1');
    return { latin1: `${start}${lines.join(end + start)}${end}`, records: lines.length };
  }

  wholeRecords(bytes: Buffer): number {
    return bytes.lastIndexOf(0x0a) + 1;
  }
}

function escapeText(out: Buffer, start: number, bytes: Buffer, from: number, to: number): number {
  let at = start;
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number;
    const kind = classes[byte];
    if (kind === COPY) {
      out[at++] = byte;
    } else if (kind === MULTIBYTE) {
      const length = utf8Length(bytes, i, to);
      if (length === 0) at += replacement.copy(out, at);
      else if (length === 3 && byte === 0xe2 && bytes[i + 1] === 0x80 && ((bytes[i + 2] as number) & 0xfe) === 0xa8) {
        at += out.write((bytes[i + 2] as number) === 0xa8 ? '\\u2028' : '\\u2029', at, 'latin1');
        i += 2;
      } else {
        for (let k = 0; k < length; k++) out[at++] = bytes[i + k] as number;
        i += length - 1;
      }
    } else if (kind === SHORT) {
      out[at++] = BACKSLASH;
      out[at++] = byte === 0x0a ? 0x6e : byte === 0x0d ? 0x72 : byte;
    } else {
      out[at++] = BACKSLASH;
      out[at++] = 0x75;
      out[at++] = 0x30;
      out[at++] = 0x30;
      out[at++] = hexDigits[byte >> 4] as number;
      out[at++] = hexDigits[byte & 15] as number;
    }
  }
  return at;
}

/** Length of the valid UTF-8 sequence at `i`, 0 when it is not valid (overlong, surrogate, too large, cut). */
export function utf8Length(bytes: Buffer, i: number, to: number): number {
  const first = bytes[i] as number;
  const length =
    first >= 0xc2 && first <= 0xdf ? 2 : first >= 0xe0 && first <= 0xef ? 3 : first >= 0xf0 && first <= 0xf4 ? 4 : 0;
  if (length === 0 || i + length > to) return 0;
  const second = bytes[i + 1] as number;
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let k = 2; k < length; k++) if (((bytes[i + k] as number) & 0xc0) !== 0x80) return 0;
  return length;
}
