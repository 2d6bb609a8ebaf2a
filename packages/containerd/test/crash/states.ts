/**
 * The directories that a power cut can leave: everything up to some moment, less one or two changes that no sync had covered
 * by then, dropped altogether or, for a write, torn at a sector.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Change, Inode } from './trace.ts';

const sectorBytes = 512;

/**
 * What a cut takes away, by index of the change with what is kept of it: 0 nothing, else of a write so many bytes, of a rename
 * (1) the new name, whose directory was synced, beside the old one.
 */
export interface CrashState {
  /** How many changes had been made. */
  readonly length: number;
  readonly lost: ReadonlyMap<number, number>;
}

/** A sequence of numbers in [0, 1) that a seed determines. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Every moment as it is (unless only losses are asked for), then moments with losses at random, without end. */
export function* crashStates(
  changes: readonly Change[],
  options: { readonly seed: number; readonly isLossy: boolean },
): Generator<CrashState, never, undefined> {
  const moments = changes.flatMap((change, index) => (change.kind === 'say' ? [] : [index + 1]));
  if (!options.isLossy) for (const length of [0, ...moments]) yield { length, lost: new Map() };
  const random = randomNumbers(options.seed);
  const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
  for (;;) {
    const length = pick(moments);
    const open = unsynced(changes, length);
    if (open.indexes.length === 0) continue;
    const lost = new Map<number, number>();
    for (let count = random() < 0.5 ? 1 : 2; count > 0; count--) {
      // losses near the cut are the likely ones, and the ones that matter
      const index = random() < 0.5 ? pick(open.indexes.slice(-6)) : pick(open.indexes);
      const change = changes[index];
      if (change?.kind === 'rename') lost.set(index, open.renamed.has(index) ? 1 : 0);
      else {
        const sectors = change?.kind === 'write' ? Math.ceil(change.bytes.length / sectorBytes) : 1;
        lost.set(index, random() < 0.5 ? 0 : Math.floor(random() * sectors) * sectorBytes);
      }
    }
    yield { length, lost };
  }
}

/** The changes before a moment that no sync has covered; `renamed` are those of which the new name is covered. */
function unsynced(changes: readonly Change[], length: number) {
  const synced = new Map<Inode, number>();
  let all = 0;
  const indexes: number[] = [];
  const renamed = new Set<number>();
  for (let index = length - 1; index >= 0; index--) {
    const change = changes[index] as Change;
    const isSynced = (inode: Inode) => index < all || index < (synced.get(inode) ?? 0);
    if (change.kind === 'sync') {
      if (change.inode === 'all') all = Math.max(all, change.from);
      else synced.set(change.inode, Math.max(synced.get(change.inode) ?? 0, change.from));
    } else if (change.kind !== 'say' && !touched(change).every(isSynced)) {
      indexes.unshift(index);
      if (change.kind === 'rename' && isSynced(change.to.directory)) renamed.add(index);
    }
  }
  return { indexes, renamed };
}

/** The inodes that must be synced for a change to last: names belong to their directory. */
function touched(change: Exclude<Change, { kind: 'sync' | 'say' }>): Inode[] {
  if (change.kind === 'write' || change.kind === 'truncate') return [change.inode];
  if (change.kind === 'rename') return [...new Set([change.from.directory, change.to.directory])];
  return [change.at.directory];
}

class File {
  bytes = Buffer.alloc(0);
  size = 0;

  write(offset: number, bytes: Buffer): void {
    this.#grow(offset + bytes.length);
    bytes.copy(this.bytes, offset);
    this.size = Math.max(this.size, offset + bytes.length);
  }

  truncate(size: number): void {
    this.#grow(size);
    this.bytes.fill(0, size);
    this.size = size;
  }

  #grow(size: number): void {
    if (size <= this.bytes.length) return;
    const larger = Buffer.alloc(Math.max(size, this.bytes.length * 2));
    this.bytes.copy(larger);
    this.bytes = larger;
  }
}

/** A state as directories and files in memory. */
export class DiskImage {
  readonly #directories = new Map<Inode, Map<string, Inode>>([[0, new Map()]]);
  readonly #files = new Map<Inode, File>();

  constructor(changes: readonly Change[], state: CrashState) {
    for (let index = 0; index < state.length; index++) {
      const change = changes[index] as Change;
      const kept = state.lost.get(index);
      if (kept === undefined) this.#apply(change);
      else if (change.kind === 'write' && kept > 0) this.#apply({ ...change, bytes: change.bytes.subarray(0, kept) });
      else if (change.kind === 'rename' && kept > 0)
        this.#directories.get(change.to.directory)?.set(change.to.name, change.inode);
      else if (change.kind === 'link') this.#make(change.inode, change.isDirectory); // nameless, but others may name it
    }
  }

  /** Writes it out. Shared memory files of SQLite are no part of the disk. */
  writeTo(path: string, inode: Inode = 0): void {
    mkdirSync(path);
    for (const [name, child] of this.#directories.get(inode) ?? []) {
      const file = this.#files.get(child);
      if (file === undefined) this.writeTo(join(path, name), child);
      else if (!name.endsWith('-shm')) writeFileSync(join(path, name), file.bytes.subarray(0, file.size));
    }
  }

  /** Equal for images that no store can tell apart. */
  digest(): string {
    const hash = createHash('sha1');
    const visit = (inode: Inode): void => {
      const names = [...(this.#directories.get(inode) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
      for (const [name, child] of names) {
        const file = this.#files.get(child);
        if (name.endsWith('-shm')) continue;
        hash.update(`${name}\0${file === undefined ? 'd' : file.size}\0`);
        if (file === undefined) visit(child);
        else hash.update(file.bytes.subarray(0, file.size));
      }
      hash.update('\0up\0');
    };
    visit(0);
    return hash.digest('hex');
  }

  #make(inode: Inode, isDirectory: boolean): void {
    if (isDirectory) this.#directories.set(inode, new Map());
    else this.#files.set(inode, new File());
  }

  #apply(change: Change): void {
    switch (change.kind) {
      case 'link':
        this.#make(change.inode, change.isDirectory);
        this.#directories.get(change.at.directory)?.set(change.at.name, change.inode);
        break;
      case 'unlink':
        this.#directories.get(change.at.directory)?.delete(change.at.name);
        break;
      case 'rename':
        if (this.#directories.get(change.from.directory)?.get(change.from.name) === change.inode)
          this.#directories.get(change.from.directory)?.delete(change.from.name);
        this.#directories.get(change.to.directory)?.set(change.to.name, change.inode);
        break;
      case 'write':
        this.#files.get(change.inode)?.write(change.offset, change.bytes);
        break;
      case 'truncate':
        this.#files.get(change.inode)?.truncate(change.size);
        break;
      default: // syncs change nothing that is seen, and what was said is not on this disk
    }
  }
}
