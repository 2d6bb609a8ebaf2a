/**
 * Turns names in open directories into archive members: metadata, extended attributes, hard links, file bytes. The tree may
 * change meanwhile (a running container), so files are opened without following links and padded or cut to the size that
 * the header promised.
 */
import { closeSync, constants, fstatSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { getXattr, listXattrs, openAt, splitDevice } from '@boxship/linux';
import { procPath } from '../apply/remove-tree.ts';
import { bytesOf, newEntry, type TarEntry } from '../tar/entry.ts';
import { encodeEntry, tarPadding } from '../tar/writer.ts';
import type { PackOptions } from './request.ts';

export type Pieces = Generator<Buffer, void, undefined>;

const buffer = Buffer.allocUnsafe(256 * 1024);
const noXattrs: ReadonlyMap<string, Uint8Array> = new Map();

export class Emitter {
  readonly #options: PackOptions;
  readonly #links = new Map<string, string>(); // device:inode → first name
  readonly #count: { entries: number };

  constructor(options: PackOptions, count: { entries: number }) {
    this.#options = options;
    this.#count = count;
  }

  /** A member that has no bytes: whiteouts and markers. */
  plain(entry: TarEntry): Buffer {
    this.#count.entries++;
    return encodeEntry(entry);
  }

  /** The member for `name` in the directory; nothing for sockets and for what has vanished. */
  *member(directoryFd: number, name: string, path: string, stat: Stats): Pieces {
    if (stat.isSocket()) return;
    const common = {
      mode: stat.mode & 0o7777,
      uid: stat.uid,
      gid: stat.gid,
      mtime: { seconds: Math.floor(stat.mtimeMs / 1000), nanoseconds: 0 },
    };
    if (stat.isDirectory()) {
      const xattrs = this.#xattrs(procPath(directoryFd, name));
      yield this.plain(newEntry({ name: `${path}/`, type: 'directory', ...common, xattrs }));
      return;
    }
    if (stat.nlink > 1) {
      const key = `${stat.dev}:${stat.ino}`;
      const first = this.#links.get(key);
      if (first !== undefined) {
        yield this.plain(newEntry({ name: path, type: 'hardlink', linkName: first, ...common }));
        return;
      }
      this.#links.set(key, path);
    }
    if (stat.isSymbolicLink()) {
      const linkName = readlinkSync(procPath(directoryFd, name), { encoding: 'latin1' });
      yield this.plain(newEntry({ name: path, type: 'symlink', linkName, ...common, mode: 0o777 }));
    } else if (stat.isFile()) {
      yield* this.#file(directoryFd, name, path, common);
    } else {
      const type = stat.isFIFO() ? 'fifo' : stat.isBlockDevice() ? 'block' : 'character';
      const device = type === 'fifo' ? {} : splitDevice(BigInt(stat.rdev));
      yield this.plain(newEntry({ name: path, type, ...common, ...device }));
    }
  }

  *#file(
    directoryFd: number,
    name: string,
    path: string,
    common: Pick<TarEntry, 'mode' | 'uid' | 'gid' | 'mtime'>,
  ): Pieces {
    let fd: number;
    try {
      fd = openAt(directoryFd, bytesOf(name), constants.O_RDONLY | constants.O_NONBLOCK);
    } catch (error) {
      if (BoxshipError.is(error, 'notFound')) return; // removed since the directory was read
      throw error;
    }
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile()) return; // replaced since
      yield this.plain(newEntry({ name: path, type: 'file', ...common, size: stat.size, xattrs: this.#xattrs(fd) }));
      for (let left = stat.size; left > 0; ) {
        const wanted = Math.min(left, buffer.length);
        const got = readSync(fd, buffer, 0, wanted, null);
        if (got === 0) buffer.fill(0, 0, wanted); // shorter than promised: zeros keep the archive well-formed
        yield buffer.subarray(0, got === 0 ? wanted : got);
        left -= got === 0 ? wanted : got;
      }
      yield tarPadding(stat.size);
    } finally {
      closeSync(fd);
    }
  }

  #xattrs(subject: Buffer | number): ReadonlyMap<string, Uint8Array> {
    const names = listXattrs(subject);
    if (names.length === 0) return noXattrs;
    const xattrs = new Map<string, Uint8Array>();
    for (const name of names.sort()) {
      const isUser =
        name.startsWith('user.') && !name.startsWith('user.overlay.') && this.#options.xattrs !== 'capabilities';
      if (name !== 'security.capability' && !isUser) continue;
      const value = getXattr(subject, name);
      if (value !== undefined) xattrs.set(name, name === 'security.capability' ? portableCapability(value) : value);
    }
    return xattrs;
  }
}

/** Version 3 (24 bytes, bound to a user namespace) as version 2 (20 bytes); the references write that too. */
function portableCapability(value: Buffer): Buffer {
  if (value.length !== 24 || (value.readUInt32LE(0) & 0xff000000) >>> 24 !== 3) return value;
  const second = Buffer.from(value.subarray(0, 20));
  second.writeUInt32LE(((value.readUInt32LE(0) & 0x00ffffff) | 0x02000000) >>> 0, 0);
  return second;
}
