/**
 * Copies a tree with everything that a file system keeps: owners, modes, times to the nanosecond, attributes, hard links,
 * devices. File bytes are shared where the file system can (reflink).
 */
import { closeSync, constants, copyFileSync, lstatSync, mkdirSync, openSync, readlinkSync, type Stats } from 'node:fs';
import {
  chmodAt,
  chownAt,
  getXattr,
  linkAt,
  listXattrs,
  mkdirAt,
  mknodAt,
  openAt,
  setTimesAt,
  setXattr,
  splitDevice,
  symlinkAt,
  type Timestamp,
} from '@boxship/linux';
import { listAt, procPath } from '../apply/remove-tree.ts';
import { baseOf, joinName, parentOf } from '../names.ts';
import { bytesOf } from '../tar/entry.ts';

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY;

/** `to` is made if it is missing; what is in it stays. */
export function copyTreeSync(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const source = openSync(from, openDirectory);
  try {
    const target = openSync(to, openDirectory);
    try {
      new TreeCopy(target).children(source, target, '');
      metadata(source, '.', target, '.', lstatSync(from));
    } finally {
      closeSync(target);
    }
  } finally {
    closeSync(source);
  }
}

class TreeCopy {
  readonly #root: number;
  readonly #links = new Map<string, string>();

  constructor(root: number) {
    this.#root = root;
  }

  children(source: number, target: number, path: string): void {
    for (const name of listAt(source)) this.#copy(source, target, name, joinName(path, name));
  }

  #copy(source: number, target: number, name: string, path: string): void {
    const stat = lstatSync(procPath(source, name));
    const bytes = bytesOf(name);
    if (stat.isSocket()) return;
    if (stat.isDirectory()) {
      mkdirAt(target, bytes, 0o700);
      const from = openAt(source, bytes, openDirectory);
      const to = openAt(target, bytes, openDirectory);
      try {
        this.children(from, to, path);
      } finally {
        closeSync(from);
        closeSync(to);
      }
    } else {
      const key = `${stat.dev}:${stat.ino}`;
      const first = stat.nlink > 1 ? this.#links.get(key) : undefined;
      if (first !== undefined) {
        this.#link(first, target, bytes);
        return;
      }
      if (stat.nlink > 1) this.#links.set(key, path);
      if (stat.isSymbolicLink()) symlinkAt(readlinkSync(procPath(source, name), { encoding: 'buffer' }), target, bytes);
      else if (stat.isFile()) copyFileSync(procPath(source, name), procPath(target, name), constants.COPYFILE_FICLONE);
      else mknodAt(target, bytes, stat.mode, splitDevice(BigInt(stat.rdev)));
    }
    metadata(source, name, target, name, stat);
  }

  #link(first: string, target: number, name: Buffer): void {
    const parent = parentOf(first);
    const fd = openAt(this.#root, bytesOf(parent === '' ? '.' : parent), openDirectory);
    try {
      linkAt(fd, bytesOf(baseOf(first)), target, name);
    } finally {
      closeSync(fd);
    }
  }
}

function metadata(source: number, from: string, target: number, to: string, stat: Stats): void {
  const name = bytesOf(to);
  chownAt(target, name, stat.uid, stat.gid);
  const original = procPath(source, from);
  for (const key of listXattrs(original)) {
    const value = getXattr(original, key);
    if (value !== undefined) setXattr(procPath(target, to), key, value);
  }
  if (!stat.isSymbolicLink()) chmodAt(target, name, stat.mode & 0o7777);
  const exact = lstatSync(original, { bigint: true });
  setTimesAt(target, name, timestamp(exact.atimeNs), timestamp(exact.mtimeNs));
}

function timestamp(ns: bigint): Timestamp {
  const seconds = ns / 1_000_000_000n - (ns % 1_000_000_000n < 0n ? 1n : 0n);
  return { seconds: Number(seconds), nanoseconds: Number(ns - seconds * 1_000_000_000n) };
}
