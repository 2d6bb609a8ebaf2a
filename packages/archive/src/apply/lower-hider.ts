/**
 * Carries out whiteouts. They concern only what lies below this layer (OCI image-spec): what the same archive has created
 * stays, whatever the order of its members.
 */
import { closeSync, constants } from 'node:fs';
import { mknodAt, openAt, setXattr } from '@boxship/linux';
import { joinName, parentOf } from '../names.ts';
import { bytesOf } from '../tar/entry.ts';
import { opaqueAttribute, opaqueValue, type Whiteout } from '../whiteout.ts';
import type { DirectoryDescriptors } from './descriptors.ts';
import { isWhiteoutDevice, listAt, removeAt, statAt } from './remove-tree.ts';
import type { ApplyTarget } from './target.ts';

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY;

export class LowerHider {
  readonly #target: ApplyTarget;
  readonly #directories: DirectoryDescriptors;
  /** Paths of this archive; kept only where deletions delete and something is there to be deleted. */
  readonly #created: Set<string> | undefined;
  readonly #hasLower: boolean;

  constructor(target: ApplyTarget, directories: DirectoryDescriptors, hasLower: boolean) {
    this.#target = target;
    this.#directories = directories;
    this.#hasLower = hasLower;
    this.#created = target.kind === 'tree' && hasLower ? new Set() : undefined;
  }

  created(path: string): void {
    if (this.#created === undefined) return;
    for (let own = path; own !== '' && !this.#created.has(own); own = parentOf(own)) this.#created.add(own);
  }

  hide(directory: string, whiteout: Whiteout): void {
    if (whiteout.kind === 'internal' || !this.#hasLower) return;
    if (this.#target.kind === 'overlay') {
      this.#mark(directory, whiteout, this.#target.isUserXattr ?? false);
      return;
    }
    const fd = this.#directories.lookup(directory);
    if (fd === undefined) return;
    if (whiteout.kind === 'opaque') this.#removeChildren(fd, directory);
    else this.#removeLower(fd, whiteout.name, joinName(directory, whiteout.name));
  }

  /** In an overlay's upper directory, where everything that exists is of this archive. */
  #mark(directory: string, whiteout: Whiteout, isUserXattr: boolean): void {
    const fd = this.#directories.get(directory);
    if (whiteout.kind === 'opaque') {
      setXattr(fd, opaqueAttribute(isUserXattr), opaqueValue);
      return;
    }
    if (whiteout.kind !== 'remove') return;
    const stat = statAt(fd, whiteout.name);
    if (stat === undefined) mknodAt(fd, bytesOf(whiteout.name), constants.S_IFCHR, { major: 0, minor: 0 });
    else if (stat.isDirectory() && !isWhiteoutDevice(stat)) {
      const own = openAt(fd, bytesOf(whiteout.name), openDirectory);
      try {
        setXattr(own, opaqueAttribute(isUserXattr), opaqueValue);
      } finally {
        closeSync(own);
      }
    }
  }

  #removeLower(parentFd: number, name: string, path: string): void {
    const stat = statAt(parentFd, name);
    if (stat === undefined) return;
    if (this.#created?.has(path) !== true) {
      this.#directories.forget(path);
      removeAt(parentFd, name, stat);
    } else if (stat.isDirectory()) {
      const fd = openAt(parentFd, bytesOf(name), openDirectory);
      try {
        this.#removeChildren(fd, path);
      } finally {
        closeSync(fd);
      }
    }
  }

  #removeChildren(fd: number, path: string): void {
    for (const name of listAt(fd)) this.#removeLower(fd, name, joinName(path, name));
  }
}
