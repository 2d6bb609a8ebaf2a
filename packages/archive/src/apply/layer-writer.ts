/**
 * Unpacks the members of one archive below a root: the sink of the tar parser. Nothing outside the root is touched whatever
 * the archive says, since every parent directory is opened confined to the root and every name is created exclusively
 * in it. Synchronous: runs in a worker.
 */
import { closeSync, constants, readdirSync, statSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import {
  getXattr,
  linkAt,
  mkdirAt,
  mknodAt,
  openAt,
  setTimesFd,
  setXattr,
  symlinkAt,
  type Timestamp,
  unlinkAt,
} from '@boxship/linux';
import { type ArchiveLimits, defaultLimits, malformed } from '../limits.ts';
import { baseOf, cleanName, parentOf } from '../names.ts';
import { bytesOf, nameOf, type TarEntry, textOf } from '../tar/entry.ts';
import type { TarSink } from '../tar/parser.ts';
import { opaqueAttribute, opaqueValue, parseWhiteout } from '../whiteout.ts';
import { DirectoryDescriptors } from './descriptors.ts';
import type { NewFile } from './file-contents.ts';
import { FileMembers } from './file-members.ts';
import type { HandedContents } from './handed-contents.ts';
import { LowerHider } from './lower-hider.ts';
import { clampTime, setMetadataAt, setMetadataFd } from './metadata.ts';
import { makeParent } from './parents.ts';
import { isWhiteoutDevice, removeAt, statAt } from './remove-tree.ts';
import { type ApplyOptions, type ApplyTarget, needsMountCode } from './target.ts';

const createFile = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
const deviceBits: Readonly<Record<string, number>> = {
  character: constants.S_IFCHR,
  block: constants.S_IFBLK,
  fifo: constants.S_IFIFO,
};
const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY;

export class LayerWriter implements TarSink, Disposable {
  readonly #target: ApplyTarget;
  readonly #options: ApplyOptions;
  readonly #limits: ArchiveLimits;
  readonly #directories: DirectoryDescriptors;
  /** Where members go, below the root; '' for the root itself. */
  readonly #base: string;
  readonly #hider: LowerHider;
  readonly #directoryTimes = new Map<string, Timestamp>();
  readonly #umask = process.umask();
  /** Files belong to who makes them: not so below a directory that hands its group down. */
  #ownsWhatItMakes: boolean;
  readonly #files: FileMembers;

  /** @param handed where contents go that another thread writes; without it, everything is done here */
  constructor(target: ApplyTarget, options: ApplyOptions = {}, handed?: HandedContents) {
    this.#target = target;
    this.#options = options;
    this.#limits = options.limits ?? defaultLimits;
    const root = target.kind === 'tree' ? target.root : target.upper;
    // nobody knows what directories a tree has, unless it has none: then all of them are made here
    const hasLower = target.kind === 'overlay' || readdirSync(root).length > 0;
    const isOurs = target.kind === 'overlay' || (!hasLower && handsNothingDown(root));
    this.#ownsWhatItMakes = isOurs && process.geteuid?.() === 0;
    this.#directories = new DirectoryDescriptors(root, this.#limits, (parentFd, name, path) => {
      const mtime = makeParent(target, parentFd, name, path);
      if (mtime === undefined) return;
      this.#directoryTimes.set(path, mtime);
      this.#ownsWhatItMakes = false; // made as it is below, whatever that is
    });
    this.#files = new FileMembers(
      this.#directories,
      {
        makeAlone: ({ path, base, entry }) => this.#makeOther(path, base, entry),
        isMadeRight: (entry) => this.#isMadeRight(entry),
      },
      handed,
    );
    this.#base =
      target.kind === 'tree' && target.path !== undefined ? cleanName(nameOf(target.path), this.#limits) : '';
    if (this.#directories.lookup(this.#base) === undefined) {
      this.#directories[Symbol.dispose]();
      throw new BoxshipError('notFound', `${textOf(this.#base)}: no such directory`);
    }
    this.#hider = new LowerHider(target, this.#directories, hasLower && options.whiteouts !== 'literal');
  }

  entry(raw: TarEntry): void {
    const entry = this.#options.owner === undefined ? raw : { ...raw, ...this.#options.owner };
    const path = this.#inBase(entry.name);
    if (entry.type !== 'file') this.#files.makeWaiting(); // members are made in their order
    if (path === this.#base) {
      this.#root(entry);
      return;
    }
    const base = baseOf(path);
    const whiteout = this.#options.whiteouts === 'literal' ? undefined : parseWhiteout(base);
    if (whiteout !== undefined) {
      this.#files.makeWaiting();
      this.#hider.hide(parentOf(path), whiteout);
      return;
    }
    if (path.includes('/.wh..wh.') || path.startsWith('.wh..wh.')) return; // below a directory of aufs' own
    this.#hider.created(path);
    if (entry.type === 'directory') this.#makeDirectory(path, base, entry);
    else if (entry.type === 'file') this.#files.begin({ path, base, entry });
    else this.#makeOther(path, base, entry);
  }

  data(bytes: Buffer): void {
    this.#files.data(bytes);
  }

  hole(length: number): void {
    this.#files.hole(length);
  }

  endEntry(): void {
    this.#files.end();
  }

  /** Makes what waits for others: before the bytes that came so far are no longer valid. */
  makeWaiting(): void {
    this.#files.makeWaiting();
  }

  /** Sets the times of directories, after everything that changes them. */
  finish(): void {
    for (const [path, mtime] of this.#directoryTimes) {
      const fd = this.#directories.lookup(path);
      if (fd !== undefined) setTimesFd(fd, clampTime(mtime), clampTime(mtime)); // else replaced by a later member
    }
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
    this.#directories[Symbol.dispose]();
  }

  #root(entry: TarEntry): void {
    if (entry.type !== 'directory')
      throw malformed(`member ${JSON.stringify(textOf(entry.name))} would replace the root`);
    setMetadataFd(this.#directories.get(this.#base), entry, { withTimes: false });
    if (isHandedDown(entry)) this.#ownsWhatItMakes = false;
    this.#directoryTimes.set(this.#base, entry.mtime);
  }

  /** The path of a member: `..` stops at the place where members go. */
  #inBase(name: string): string {
    const clean = cleanName(name, this.#limits);
    if (this.#base === '' || clean === '') return clean === '' ? this.#base : clean;
    return `${this.#base}/${clean}`;
  }

  #makeDirectory(path: string, base: string, entry: TarEntry): void {
    const parentFd = this.#directories.get(parentOf(path));
    let isOverWhiteout = false;
    if (!this.#tryMake(() => mkdirAt(parentFd, bytesOf(base), 0o700))) {
      const stat = statAt(parentFd, base);
      if (stat !== undefined && !stat.isDirectory()) {
        isOverWhiteout = this.#target.kind === 'overlay' && isWhiteoutDevice(stat);
        if (!isOverWhiteout) this.#checkKind(path, 'a directory', 'something else');
        this.#directories.forget(path);
        unlinkAt(parentFd, bytesOf(base));
        mkdirAt(parentFd, bytesOf(base), 0o700);
      }
    }
    const fd = openAt(parentFd, bytesOf(base), openDirectory);
    if (isHandedDown(entry)) this.#ownsWhatItMakes = false;
    try {
      setMetadataFd(fd, entry, { withTimes: false });
      // The whiteout hid a whole directory below; the new one must not show it again.
      if (isOverWhiteout && this.#target.kind === 'overlay')
        setXattr(fd, opaqueAttribute(this.#target.isUserXattr ?? false), opaqueValue);
    } finally {
      closeSync(fd);
    }
    this.#directoryTimes.set(path, entry.mtime);
  }

  #makeOther(path: string, base: string, entry: TarEntry): void {
    const parentFd = this.#directories.get(parentOf(path));
    const name = bytesOf(base);
    const make = (): void => {
      switch (entry.type) {
        case 'file':
          this.#files.made(this.#openFile(entry, parentFd, name));
          return;
        case 'symlink':
          symlinkAt(bytesOf(entry.linkName), parentFd, name);
          return;
        case 'hardlink':
          this.#link(entry, path, parentFd, name);
          return;
        default:
          mknodAt(parentFd, name, (deviceBits[entry.type] ?? 0) | 0o600, entry);
      }
    };
    if (!this.#tryMake(make)) {
      const stat = statAt(parentFd, base);
      if (stat?.isDirectory()) this.#checkKind(path, 'something else', 'a directory');
      this.#directories.forget(path);
      removeAt(parentFd, base, stat);
      make();
    }
    if (entry.type !== 'file' && entry.type !== 'hardlink') setMetadataAt(parentFd, base, entry);
  }

  #openFile(entry: TarEntry, parentFd: number, name: Buffer): NewFile {
    const isMadeRight = this.#isMadeRight(entry);
    const fd = openAt(parentFd, name, createFile, isMadeRight ? entry.mode : 0o600);
    return { fd, entry, isMadeRight };
  }

  /** Whether a file has its owner and its mode from the start. */
  #isMadeRight(entry: TarEntry): boolean {
    const isOwned = this.#ownsWhatItMakes && entry.uid === 0 && entry.gid === 0;
    return isOwned && (entry.mode & (0o7000 | this.#umask)) === 0;
  }

  #link(entry: TarEntry, path: string, parentFd: number, name: Buffer): void {
    const target = this.#inBase(entry.linkName);
    const missing = (): BoxshipError =>
      this.#target.kind === 'overlay' && this.#target.lowers.length > 0
        ? new BoxshipError('failedPrecondition', 'archive: hard link to a file of a lower layer', {
            details: { code: needsMountCode },
          })
        : malformed(`link ${textOf(path)}: no such file or directory: ${textOf(target)}`);
    if (target === this.#base || target === path)
      throw malformed(`link ${textOf(path)}: target is ${JSON.stringify(textOf(entry.linkName))}`);
    const targetFd = this.#directories.lookup(parentOf(target));
    if (targetFd === undefined) throw missing();
    try {
      linkAt(targetFd, bytesOf(baseOf(target)), parentFd, name);
    } catch (error) {
      const code = BoxshipError.from(error).details['code'];
      if (code === 'ENOENT') throw missing();
      if (code === 'EPERM') throw malformed(`link ${textOf(path)}: ${textOf(target)} is a directory`);
      throw error;
    }
  }

  /** False when the name is taken. */
  #tryMake(make: () => void): boolean {
    try {
      make();
      return true;
    } catch (error) {
      if (BoxshipError.from(error).details['code'] === 'EEXIST') return false;
      throw error;
    }
  }

  #checkKind(path: string, wanted: string, found: string): void {
    if (this.#options.keepDirectories === true)
      throw new BoxshipError('failedPrecondition', `cannot overwrite ${found} "${textOf(path)}" with ${wanted}`);
  }
}

const setGroupId = 0o2000;
const defaultAcl = 'system.posix_acl_default';

/** Whether what is made in a directory gets owner and mode from who makes it alone. */
function handsNothingDown(directory: string): boolean {
  return (statSync(directory).mode & setGroupId) === 0 && getXattr(directory, defaultAcl) === undefined;
}

const isHandedDown = (entry: TarEntry): boolean => (entry.mode & setGroupId) !== 0 || entry.xattrs.has(defaultAcl);
