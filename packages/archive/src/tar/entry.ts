/**
 * One member of a tar archive, whatever dialect it was written in.
 *
 * Names are **byte strings**: JavaScript strings with one character per byte (latin1). Paths in a layer are arbitrary bytes;
 * decoding them as UTF-8 would damage them. {@link bytesOf} and {@link textOf} convert.
 */
import type { Timestamp } from '@boxship/linux';

export type EntryType = 'file' | 'hardlink' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';

export interface TarEntry {
  /** As written, also `./a`, `/a`, `a/` or `../a`. A byte string. */
  readonly name: string;
  readonly type: EntryType;
  /** Target of a hard or symbolic link; '' otherwise. A byte string. */
  readonly linkName: string;
  /** Permission bits with set-id and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName: string;
  readonly groupName: string;
  /** Bytes of the file; 0 for everything that is no file. */
  readonly size: number;
  readonly mtime: Timestamp;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
}

const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

/** An entry with the fields given and plain defaults for the rest. */
export function newEntry(fields: Pick<TarEntry, 'name' | 'type'> & Partial<TarEntry>): TarEntry {
  return {
    linkName: '',
    mode: fields.type === 'directory' ? 0o755 : 0o644,
    uid: 0,
    gid: 0,
    userName: '',
    groupName: '',
    size: 0,
    mtime: { seconds: 0, nanoseconds: 0 },
    major: 0,
    minor: 0,
    xattrs: noXattrs,
    ...fields,
  };
}

export const bytesOf = (name: string): Buffer => Buffer.from(name, 'latin1');
export const textOf = (name: string): string => Buffer.from(name, 'latin1').toString('utf8');
/** The byte string of a text. */
export const nameOf = (text: string | Uint8Array): string =>
  typeof text === 'string' ? Buffer.from(text, 'utf8').toString('latin1') : Buffer.from(text).toString('latin1');
