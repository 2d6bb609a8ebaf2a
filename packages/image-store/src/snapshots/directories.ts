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
import type { SnapshotMetadata } from './metadata.ts';

const lostPrefix = 'lost-';

export class SnapshotDirectories {
  readonly #root: string;
  readonly #release: (path: string) => void;
  readonly #log: Logger;
  readonly #removals = new Set<Promise<void>>();

  /**
   * @param release called with a directory that is about to be removed, to let go of what is more than files
   * @throws invalidArgument for a root that cannot be written into overlay options
   */
  constructor(root: string, log: Logger, release: (path: string) => void = () => {}) {
    if (/[,:\\]/.test(root)) throw new BoxshipError('invalidArgument', `${root}: must not hold "," ":" or "\\"`);
    this.#root = join(root, 'snapshots');
    this.#log = log;
    this.#release = release;
    makeDirectorySync(this.#root, 0o700);
  }

  get root(): string {
    return this.#root;
  }

  path(id: number): string {
    return join(this.#root, String(id));
  }

  /** Makes disk and metadata agree: the normal start. */
  recover(metadata: SnapshotMetadata): void {
    const missing = metadata
      .all()
      .map(({ id }) => id)
      .filter((id) => !existsSync(this.path(id)));
    for (const { id, info } of missing.length > 0 ? metadata.forget(missing) : []) {
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

  /** Makes a directory outside the numbering; `place` moves it in, disposal removes it if that has not happened. */
  stage(): { readonly path: string; place(id: number): void } & AsyncDisposable {
    const name = `new-${randomBytes(8).toString('hex')}`;
    const path = join(this.#root, name);
    mkdirSync(path, { mode: 0o700 });
    let placed: number | undefined;
    return {
      path,
      place: (id) => {
        syncDirectorySync(path);
        renameSync(path, this.path(id));
        placed = id;
        syncDirectorySync(this.#root); // the row that says it is there comes next
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
    this.#release(join(this.#root, name));
    if (doomed !== name) renameSync(join(this.#root, name), join(this.#root, doomed));
    const removal = removeTree(join(this.#root, doomed)).catch((error: unknown) => {
      this.#log.warn('removed snapshot is not freed; the next start tries again', {
        path: doomed,
        error: messageOf(error),
      });
    });
    this.#removals.add(removal);
    void removal.then(() => this.#removals.delete(removal));
  }
}
