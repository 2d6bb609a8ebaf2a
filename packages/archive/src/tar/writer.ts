/**
 * Encodes members as ustar, with a PAX header in front where a field does not fit. Times are whole seconds, as the
 * references write them, so that a layer written twice has the same digest.
 */
import type { EntryType, TarEntry } from './entry.ts';
import { blockSize, encodeHeader, maxOctal } from './header.ts';
import { encodePax } from './pax.ts';

const typeFlags: Readonly<Record<EntryType, string>> = {
  file: '0',
  hardlink: '1',
  symlink: '2',
  character: '3',
  block: '4',
  directory: '5',
  fifo: '6',
};

/** The header of a member. The caller lets `size` bytes and {@link tarPadding} follow. */
export function encodeEntry(entry: TarEntry): Buffer {
  const pax: [string, Uint8Array][] = [];
  const latin1 = (text: string) => Buffer.from(text, 'latin1');
  const placed = placeName(entry.name);
  if (placed === undefined) pax.push(['path', latin1(entry.name)]);
  const fitsLink = entry.linkName.length <= 100 && isAscii(entry.linkName);
  if (!fitsLink) pax.push(['linkpath', latin1(entry.linkName)]);
  const number = (key: string, value: number, length: number): number => {
    if (value >= 0 && value <= maxOctal(length)) return value;
    pax.push([key, latin1(String(value))]);
    return 0;
  };
  const header = {
    name: placed?.name ?? toAscii(entry.name).slice(0, 100),
    mode: entry.mode & 0o7777,
    uid: number('uid', entry.uid, 8),
    gid: number('gid', entry.gid, 8),
    size: number('size', entry.size, 12),
    mtime: number('mtime', entry.mtime.seconds, 12),
    typeFlag: typeFlags[entry.type],
    linkName: fitsLink ? entry.linkName : toAscii(entry.linkName).slice(0, 100),
    userName: entry.userName.slice(0, 31),
    groupName: entry.groupName.slice(0, 31),
    major: number('SCHILY.devmajor', entry.major, 8),
    minor: number('SCHILY.devminor', entry.minor, 8),
    ...(placed?.prefix === undefined ? {} : { prefix: placed.prefix }),
  };
  for (const [name, value] of entry.xattrs) pax.push([`SCHILY.xattr.${name}`, value]);
  const block = encodeHeader(header);
  if (pax.length === 0) return block;
  const records = encodePax(pax.sort(([a], [b]) => (a < b ? -1 : 1)));
  const paxHeader = encodeHeader({
    ...header,
    name: paxName(entry.name),
    prefix: '',
    mode: 0,
    uid: 0,
    gid: 0,
    size: records.length,
    mtime: 0,
    typeFlag: 'x',
    linkName: '',
    userName: '',
    groupName: '',
    major: 0,
    minor: 0,
  });
  return Buffer.concat([paxHeader, records, tarPadding(records.length), block]);
}

/** The zeros that fill the last block of `size` bytes. */
export const tarPadding = (size: number): Buffer => zeros.subarray(0, (blockSize - (size % blockSize)) % blockSize);

const zeros = Buffer.alloc(2 * blockSize);

/** Two zero blocks. */
export const tarEnd: Buffer = zeros;

const isAscii = (text: string): boolean => !/[^ -~]/.test(text);
const toAscii = (text: string): string => text.replace(/[^\x20-\x7e]/g, '');

/** Splits a long name at a slash between the ustar fields; undefined when it does not fit. */
function placeName(name: string): { name: string; prefix?: string } | undefined {
  if (!isAscii(name)) return undefined;
  if (name.length <= 100) return { name };
  if (name.length > 256) return undefined;
  const slash = name.lastIndexOf('/', Math.min(155, name.length - 2));
  if (slash <= 0 || name.length - slash - 1 > 100) return undefined;
  return { name: name.slice(slash + 1), prefix: name.slice(0, slash) };
}

function paxName(name: string): string {
  const trimmed = toAscii(name).replace(/\/+$/, '');
  const slash = trimmed.lastIndexOf('/');
  return `${trimmed.slice(0, slash + 1)}PaxHeaders.0/${trimmed.slice(slash + 1)}`.slice(0, 100);
}
