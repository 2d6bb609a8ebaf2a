/**
 * The directories of a directory-based snapshotter, `<root>/snapshots/<number>`, and their fate:
 * `new-<random>` ── rename ─▶ `<number>` ── rename ─▶ `rm-<random>` ─▶ gone. Whatever has no row when the snapshotter starts is
 * the rest of an interrupted step.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { removeTree } from '@boxship/archive';
import { BoxshipError, type Logger, makeDirectorySync, messageOf, syncDirectorySync } from '@boxship/base';
import { isImageLayer } from '../labels.ts';
import type { SnapshotMetadata, SnapshotRecord } from './metadata.ts';

const lostPrefix = 'lost-';

/** What a directory is beside its files, to be let go of when it is removed. */
export interface DirectoryRemoval {
  /** Before it is taken away. */
  release(path: string): void;
  /** In the background, before its files are removed. What throws is tried again by the next start. */
  free(path: string): Promise<void>;
}

/** A directory that is being filled. */
export interface StagedDirectory extends AsyncDisposable {
  readonly path: string;
  place(id: number, options: { readonly isDurable: boolean }): void;
}

export class SnapshotDirectories {
  readonly #root: string;
  readonly #removal: DirectoryRemoval;
  readonly #log: Logger;
  readonly #removals = new Set<Promise<void>>();

  /** @throws invalidArgument for a root that cannot be written into overlay options */
  constructor(root: string, log: Logger, removal: DirectoryRemoval) {
    if (/[,:\\]/.test(root)) throw new BoxshipError('invalidArgument', `${root}: must not hold "," ":" or "\\"`);
    this.#root = join(root, 'snapshots');
    this.#log = log;
    this.#removal = removal;
    makeDirectorySync(this.#root, 0o700);
  }

  get root(): string {
    return this.#root;
  }

  path(id: number): string {
    return join(this.#root, String(id));
  }

  /** Makes disk and metadata agree: the normal start. */
  recover(metadata: SnapshotMetadata, bootId: string): void {
    const unsure = metadata.unsynced().filter((layer) => layer.bootId !== bootId);
    this.drop(
      metadata,
      unsure.map(({ id }) => id),
    );
    const isMissing = ({ id }: SnapshotRecord): boolean => !existsSync(this.path(id));
    const isUnfinished = ({ info }: SnapshotRecord): boolean => info.kind === 'active' && isImageLayer(info.labels);
    const idsOf = (records: readonly SnapshotRecord[]): readonly number[] => records.map(({ id }) => id);
    // nobody has waited for the disk with a layer that was being unpacked
    const missing = metadata.all().filter(isMissing);
    this.drop(metadata, idsOf(missing.filter(isUnfinished)));
    const lost = idsOf(missing.filter((one) => !isUnfinished(one)));
    for (const { id, info } of lost.length > 0 ? metadata.forget(lost) : []) {
      const isHere = existsSync(this.path(id));
      // Its layers are gone, but what a container wrote may still be wanted by its owner.
      if (isHere) renameSync(this.path(id), join(this.#root, `${lostPrefix}${id}`));
      this.#log.error('snapshot is lost: a directory is missing', {
        name: info.name,
        ...(isHere ? { kept: `${lostPrefix}${id}` } : {}),
      });
    }
    const known = new Set(metadata.all().map(({ id }) => String(id)));
    for (const name of readdirSync(this.#root))
      if (!known.has(name) && !name.startsWith(lostPrefix)) this.#discard(name);
  }

  /** Takes layers away whose files may not be on the disk, and those above. */
  drop(metadata: SnapshotMetadata, ids: readonly number[]): void {
    for (const { id, info } of ids.length > 0 ? metadata.forget(ids) : []) {
      this.#log.warn('a layer was not on the disk; it is unpacked again when it is needed', { name: info.name });
      this.remove(id);
    }
  }

  /** Makes a directory outside the numbering; `place` moves it in, disposal removes it if that has not happened. */
  stage(): StagedDirectory {
    const name = `new-${randomBytes(8).toString('hex')}`;
    const path = join(this.#root, name);
    mkdirSync(path, { mode: 0o700 });
    let placed: number | undefined;
    return {
      path,
      place: (id, { isDurable }) => {
        if (isDurable) syncDirectorySync(path);
        renameSync(path, this.path(id));
        placed = id;
        if (isDurable) syncDirectorySync(this.#root); // the row that says it is there comes next
      },
      [Symbol.asyncDispose]: async () => {
        if (placed === undefined) this.#discard(name);
      },
    };
  }

  /** Takes a directory away at once and frees it in the background. */
  remove(id: number): void {
    if (existsSync(this.path(id))) this.#discard(String(id));
  }

  /** Waits until what was taken away is freed. */
  async cleanup(): Promise<void> {
    await Promise.all(this.#removals);
  }

  #discard(name: string): void {
    const doomed = name.startsWith('rm-') ? name : `rm-${randomBytes(8).toString('hex')}`;
    this.#removal.release(join(this.#root, name));
    if (doomed !== name) renameSync(join(this.#root, name), join(this.#root, doomed));
    const removal = this.#free(join(this.#root, doomed)).catch((error: unknown) => {
      this.#log.warn('removed snapshot is not freed; the next start tries again', {
        path: doomed,
        error: messageOf(error),
      });
    });
    this.#removals.add(removal);
    void removal.then(() => this.#removals.delete(removal));
  }

  async #free(path: string): Promise<void> {
    await Promise.resolve(); // a removal found at the start waits until its snapshotter is whole
    await this.#removal.free(path);
    await removeTree(path);
  }
}
