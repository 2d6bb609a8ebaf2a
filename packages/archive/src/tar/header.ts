/**
 * The 512-byte header block, read in all dialects (v7, ustar, GNU) and written as ustar. Field positions: POSIX.1-1988
 * "ustar Interchange Format"; base-256 numbers and the GNU magic: GNU tar manual, "Basic Tar Format".
 */
import { malformed } from '../limits.ts';

export const blockSize = 512;

export interface RawHeader {
  readonly name: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly typeFlag: string;
  readonly linkName: string;
  readonly userName: string;
  readonly groupName: string;
  readonly major: number;
  readonly minor: number;
}

/** The header in `block`; undefined for a block of zeros, which ends an archive. @throws invalidArgument */
export function parseHeader(block: Buffer): RawHeader | undefined {
  const stored = number(block, 148, 8, 'checksum');
  const unsigned = unsignedSum(block);
  if (unsigned === 256 && stored === 0) return undefined;
  if (stored !== unsigned && stored !== sumOf(new Int8Array(block.buffer, block.byteOffset, blockSize)))
    throw malformed('invalid tar header: checksum differs');
  const isUstar = startsWith(block, 257, 'ustar\0');
  const hasExtension = isUstar || startsWith(block, 257, 'ustar  \0');
  const prefix = isUstar ? text(block, 345, 155) : '';
  const name = text(block, 0, 100);
  return {
    name: prefix === '' ? name : `${prefix}/${name}`,
    mode: number(block, 100, 8, 'mode') & 0o7777,
    uid: number(block, 108, 8, 'uid'),
    gid: number(block, 116, 8, 'gid'),
    size: number(block, 124, 12, 'size'),
    mtime: number(block, 136, 12, 'mtime'),
    typeFlag: String.fromCharCode(block[156] as number),
    linkName: text(block, 157, 100),
    userName: hasExtension ? text(block, 265, 32) : '',
    groupName: hasExtension ? text(block, 297, 32) : '',
    major: hasExtension ? number(block, 329, 8, 'device') : 0,
    minor: hasExtension ? number(block, 337, 8, 'device') : 0,
  };
}

// The checksum field, which is two words, counts as spaces.
const checksumAt = 148;
const checksumBytes = 8;
const spaces = checksumBytes * 0x20;

/** Two bytes of each word at a time: in 16 bits there is room for 256 of them. */
function unsignedSum(block: Buffer): number {
  if (block.byteOffset % 4 !== 0) return sumOf(block);
  const words = new Uint32Array(block.buffer, block.byteOffset, blockSize / 4);
  let sums = 0;
  for (let at = 0; at < words.length; at++) {
    if (at === checksumAt / 4) at += checksumBytes / 4;
    const word = words[at] as number;
    sums = (sums + (word & 0xff00ff) + ((word >>> 8) & 0xff00ff)) | 0;
  }
  return spaces + (sums & 0xffff) + (sums >>> 16);
}

/** Some programs took the bytes as signed. */
function sumOf(block: Uint8Array | Int8Array): number {
  let sum = spaces;
  for (let at = 0; at < blockSize; at++)
    if (at < checksumAt || at >= checksumAt + checksumBytes) sum += block[at] as number;
  return sum;
}

function startsWith(block: Buffer, at: number, what: string): boolean {
  for (let i = 0; i < what.length; i++) if (block[at + i] !== what.charCodeAt(i)) return false;
  return true;
}

function text(block: Buffer, at: number, length: number): string {
  let end = at;
  while (end < at + length && block[end] !== 0) end++;
  return end === at ? '' : block.toString('latin1', at, end);
}

function number(block: Buffer, at: number, length: number, what: string): number {
  const first = block[at] as number;
  if (first & 0x80) return base256(block, at, length, what);
  let value = 0;
  let digits = 0;
  for (let i = at; i < at + length; i++) {
    const byte = block[i] as number;
    if (byte === 0x20 && digits === 0) continue;
    if (byte === 0 || byte === 0x20) break;
    if (byte < 0x30 || byte > 0x37) throw malformed(`invalid tar header: ${what} is no octal number`);
    value = value * 8 + byte - 0x30;
    digits++;
  }
  return value;
}

/** Two's complement, big endian, with the top bit as the marker. */
function base256(block: Buffer, at: number, length: number, what: string): number {
  const isNegative = ((block[at] as number) & 0x40) !== 0;
  let value = BigInt((block[at] as number) & 0x3f) - (isNegative ? 0x40n : 0n);
  for (let i = at + 1; i < at + length; i++) value = (value << 8n) | BigInt(block[i] as number);
  const result = Number(value);
  if (!Number.isSafeInteger(result)) throw malformed(`invalid tar header: ${what} is out of range`);
  return result;
}

/** Largest value of an octal field of `length` bytes with its terminator. */
export const maxOctal = (length: number): number => 8 ** (length - 1) - 1;

/** The block of a header whose fields all fit (see the writer for those that do not). */
export function encodeHeader(
  header: Omit<RawHeader, 'name'> & { readonly name: string; readonly prefix?: string },
): Buffer {
  const block = Buffer.alloc(blockSize);
  const octal = (value: number, at: number, length: number) =>
    block.write(value.toString(8).padStart(length - 1, '0'), at, length - 1, 'latin1');
  block.write(header.name, 0, 100, 'latin1');
  octal(header.mode, 100, 8);
  octal(header.uid, 108, 8);
  octal(header.gid, 116, 8);
  octal(header.size, 124, 12);
  octal(header.mtime, 136, 12);
  block.fill(0x20, 148, 156);
  block.write(header.typeFlag, 156, 1, 'latin1');
  block.write(header.linkName, 157, 100, 'latin1');
  block.write('ustar\x0000', 257, 8, 'latin1');
  block.write(header.userName, 265, 32, 'latin1');
  block.write(header.groupName, 297, 32, 'latin1');
  octal(header.major, 329, 8);
  octal(header.minor, 337, 8);
  if (header.prefix !== undefined) block.write(header.prefix, 345, 155, 'latin1');
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 8, 'latin1');
  return block;
}
