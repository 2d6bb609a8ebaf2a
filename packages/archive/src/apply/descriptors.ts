/**
 * Open directories of the tree being unpacked. Each is opened once, confined to the root, and then used by descriptor: the
 * kernel does the resolution of links, and a burst of files in one directory costs one lookup.
 */
import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { openInRoot } from '@boxship/linux';
import { type ArchiveLimits, malformed } from '../limits.ts';
import { baseOf, cleanName, joinName, parentOf } from '../names.ts';
import { bytesOf, textOf } from '../tar/entry.ts';
import { procPath, statAt } from './remove-tree.ts';

/** Makes a directory that the archive does not mention but uses. */
export type ParentMaker = (parentFd: number, name: string, path: string) => void;

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY;
const capacity = 256;
const maxLinks = 40; // the kernel's own limit for links in one path

export class DirectoryDescriptors implements Disposable {
  readonly rootFd: number;
  readonly #limits: ArchiveLimits;
  readonly #makeParent: ParentMaker;
  readonly #open = new Map<string, number>(); // least recently used first
  /** The last one that was asked for: members of one directory follow each other. */
  #last: { readonly path: string; readonly fd: number } | undefined;

  constructor(root: string, limits: ArchiveLimits, makeParent: ParentMaker) {
    this.rootFd = openSync(root, openDirectory);
    this.#limits = limits;
    this.#makeParent = makeParent;
  }

  /** The directory at a clean path; made with its parents if missing. Valid until the next call. @throws invalidArgument */
  get(path: string, depth = 0): number {
    if (path === '') return this.rootFd;
    if (path === this.#last?.path) return this.#last.fd;
    const known = this.#open.get(path);
    if (known !== undefined) {
      this.#open.delete(path);
      this.#open.set(path, known);
    }
    const fd = known ?? this.#keep(path, this.#find(path) ?? this.#make(path, depth));
    this.#last = { path, fd };
    return fd;
  }

  /** As {@link get}, but undefined when it does not exist. The caller owns nothing: look again before the next use. */
  lookup(path: string): number | undefined {
    if (path === '') return this.rootFd;
    const known = this.#open.get(path);
    if (known !== undefined) return known;
    const found = this.#find(path);
    return found === undefined ? undefined : this.#keep(path, found);
  }

  /** Forgets a path and everything below it, since it is about to be removed or replaced. */
  forget(path: string): void {
    const below = `${path}/`;
    this.#last = undefined;
    for (const [key, fd] of this.#open) {
      if (key !== path && !key.startsWith(below)) continue;
      this.#open.delete(key);
      closeSync(fd);
    }
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
    closeSync(this.rootFd);
  }

  #find(path: string): number | undefined {
    try {
      return openInRoot(this.rootFd, bytesOf(path), openDirectory);
    } catch (error) {
      const code = BoxshipError.from(error).details['code'];
      if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
      if (code === 'ELOOP') throw malformed(`${textOf(path)}: too many levels of symbolic links`);
      throw error;
    }
  }

  #make(path: string, depth: number): number {
    if (depth > maxLinks) throw malformed(`${textOf(path)}: too many levels of symbolic links`);
    const parentFd = this.get(parentOf(path), depth);
    const base = baseOf(path);
    const stat = statAt(parentFd, base);
    if (stat?.isSymbolicLink()) {
      // A link to a directory that is still missing: make that one, inside the root.
      const target = readlinkSync(procPath(parentFd, base), { encoding: 'latin1' });
      this.get(cleanName(target.startsWith('/') ? target : joinName(parentOf(path), target), this.#limits), depth + 1);
    } else {
      this.#makeParent(parentFd, base, path);
    }
    const made = this.#find(path);
    if (made === undefined) throw malformed(`${textOf(path)}: not a directory`);
    return made;
  }

  #keep(path: string, fd: number): number {
    if (this.#open.size >= capacity) {
      const [oldest, oldestFd] = this.#open.entries().next().value as [string, number];
      this.#open.delete(oldest);
      if (oldest === this.#last?.path) this.#last = undefined;
      closeSync(oldestFd);
    }
    this.#open.set(path, fd);
    return fd;
  }
}
