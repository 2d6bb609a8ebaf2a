/** Joins a header with the extension members (PAX, GNU long names) that stood before it into one {@link TarEntry}. */
import { BoxshipError } from '@boxship/base';
import type { Timestamp } from '@boxship/linux';
import { type ArchiveLimits, malformed, overLimit } from '../limits.ts';
import type { EntryType, TarEntry } from './entry.ts';
import type { RawHeader } from './header.ts';
import { parsePax } from './pax.ts';
import { decimal, parseSparseList, type SparseFragment } from './sparse.ts';

const types: Readonly<Record<string, EntryType>> = {
  '\0': 'file',
  '0': 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
  '7': 'file', // contiguous
};

const xattrPrefix = 'SCHILY.xattr.';
const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

export interface BuiltEntry {
  readonly entry: TarEntry;
  /** Bytes that follow the header. */
  readonly storedSize: number;
  /** Present for sparse files; without `map`, the map stands in front of the data. */
  readonly sparse?: { readonly map?: SparseFragment[] };
}

export class EntryBuilder {
  readonly #limits: ArchiveLimits;
  readonly #global = new Map<string, Buffer>();
  #local: Map<string, Buffer> | undefined;
  #sparseNumbers: string[] = [];
  #longName: string | undefined;
  #longLink: string | undefined;
  #metadataBytes = 0;

  constructor(limits: ArchiveLimits) {
    this.#limits = limits;
  }

  /** Announces the bytes of an extension member, before they are read. @throws resourceExhausted */
  addMetadataBytes(size: number): void {
    this.#metadataBytes += size;
    if (this.#metadataBytes > this.#limits.paxBytes)
      throw overLimit(`extended headers of more than ${this.#limits.paxBytes} bytes`);
  }

  metadata(type: string, bytes: Buffer): void {
    if (type === 'L' || type === 'K') {
      const end = bytes.indexOf(0);
      const name = bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
      if (type === 'L') this.#longName = name;
      else this.#longLink = name;
      return;
    }
    const records = parsePax(bytes, this.#limits);
    if (type === 'g') {
      for (const { key, value } of records)
        value.length === 0 ? this.#global.delete(key) : this.#global.set(key, value);
      this.#metadataBytes = 0;
      return;
    }
    this.#local ??= new Map();
    for (const { key, value } of records) {
      if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes')
        this.#sparseNumbers.push(value.toString('latin1'));
      else this.#local.set(key, value);
    }
    if (this.#sparseNumbers.length > 2_000_000) throw overLimit('sparse map with too many stretches');
  }

  /** @throws invalidArgument, resourceExhausted */
  build(raw: RawHeader): BuiltEntry {
    const pax =
      this.#local === undefined && this.#global.size === 0
        ? undefined
        : new Map([...this.#global, ...(this.#local ?? [])]);
    const longName = this.#longName;
    const longLink = this.#longLink;
    const sparseNumbers = this.#sparseNumbers;
    this.#local = undefined;
    this.#longName = undefined;
    this.#longLink = undefined;
    this.#metadataBytes = 0;
    if (sparseNumbers.length > 0) this.#sparseNumbers = [];
    let type = types[raw.typeFlag];
    if (type === undefined)
      throw new BoxshipError('invalidArgument', `archive: unhandled tar header type ${raw.typeFlag.charCodeAt(0)}`);
    const text = (key: string): string | undefined => {
      const value = pax?.get(key);
      return value === undefined || value.length === 0 ? undefined : value.toString('latin1');
    };
    const count = (key: string): number | undefined => {
      const value = text(key);
      if (value === undefined) return undefined;
      if (!/^[0-9]{1,16}$/.test(value) || !Number.isSafeInteger(Number(value)))
        throw malformed(`invalid PAX record: ${key}`);
      return Number(value);
    };
    const name = text('GNU.sparse.name') ?? text('path') ?? longName ?? raw.name;
    const linkName = text('linkpath') ?? longLink ?? raw.linkName;
    for (const value of [name, linkName])
      if (value.length > this.#limits.pathBytes)
        throw overLimit(`path of ${value.length} bytes; the limit is ${this.#limits.pathBytes}`);
    if (name.includes('\0') || linkName.includes('\0')) throw malformed('name holds a NUL byte');
    if (type === 'file' && name.endsWith('/')) type = 'directory'; // v7 had no other way to say so
    const storedSize = type === 'file' ? (count('size') ?? raw.size) : 0;
    const sparse = type === 'file' && pax !== undefined ? sparseOf(text, sparseNumbers) : undefined;
    const realSize = sparse === undefined ? undefined : (count('GNU.sparse.realsize') ?? count('GNU.sparse.size'));
    const size = realSize ?? storedSize;
    if (size > this.#limits.sizeBytes) throw overLimit(`file of ${size} bytes; the limit is ${this.#limits.sizeBytes}`);
    const mtime = text('mtime');
    const entry: TarEntry = {
      name,
      type,
      linkName: type === 'hardlink' || type === 'symlink' ? linkName : '',
      mode: raw.mode,
      uid: count('uid') ?? raw.uid,
      gid: count('gid') ?? raw.gid,
      userName: text('uname') ?? raw.userName,
      groupName: text('gname') ?? raw.groupName,
      size,
      mtime: mtime === undefined ? { seconds: raw.mtime, nanoseconds: 0 } : parseTime(mtime),
      major: count('SCHILY.devmajor') ?? raw.major,
      minor: count('SCHILY.devminor') ?? raw.minor,
      xattrs: pax === undefined ? noXattrs : this.#xattrs(pax),
    };
    if (entry.uid < 0 || entry.gid < 0 || entry.uid > 0xffffffff || entry.gid > 0xffffffff)
      throw malformed(`owner ${entry.uid}:${entry.gid} is out of range`);
    return { entry, storedSize, ...(sparse === undefined ? {} : { sparse }) };
  }

  #xattrs(pax: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Uint8Array> {
    let xattrs: Map<string, Uint8Array> | undefined;
    for (const [key, value] of pax) {
      if (!key.startsWith(xattrPrefix)) continue;
      xattrs ??= new Map();
      if (value.length > this.#limits.xattrBytes) throw overLimit(`extended attribute of ${value.length} bytes`);
      if (xattrs.size >= this.#limits.xattrs) throw overLimit(`more than ${this.#limits.xattrs} extended attributes`);
      xattrs.set(key.slice(xattrPrefix.length), value);
    }
    return xattrs ?? noXattrs;
  }
}

function sparseOf(text: (key: string) => string | undefined, numbers: readonly string[]): BuiltEntry['sparse'] {
  if (text('GNU.sparse.major') === '1') {
    if (text('GNU.sparse.minor') !== '0') throw malformed('unknown sparse format');
    return {};
  }
  const map = text('GNU.sparse.map');
  if (map !== undefined) return { map: parseSparseList(map.split(',')) };
  if (numbers.length > 0) return { map: parseSparseList(numbers) };
  const blocks = text('GNU.sparse.numblocks');
  return blocks === undefined ? undefined : { map: parseSparseList(decimal(blocks) === 0 ? [] : numbers) };
}

/** Seconds with a fraction, as PAX writes times. */
function parseTime(value: string): Timestamp {
  const match = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(value);
  if (match?.[2] === undefined) throw malformed('invalid PAX record: mtime');
  const seconds = Number(match[2]);
  const nanoseconds = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1e9 - nanoseconds };
}
