/**
 * Snapshots as layers of overlayfs, in containerd's layout: `<root>/snapshots/<number>/{fs,work}`. A committed snapshot is its
 * `fs` directory, unchanged from then on; mounting is up to the caller.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { measureTree } from '@boxship/archive';
import { BoxshipError, type FilterPredicate, type Logger, silentLogger } from '@boxship/base';
import { syncFilesystem } from '@boxship/linux';
import { SnapshotDirectories } from './directories.ts';
import { snapshotFields } from './fields.ts';
import { SnapshotMetadata, type SnapshotRecord } from './metadata.ts';
import type {
  Mount,
  SnapshotInfo,
  SnapshotOptions,
  Snapshotter,
  SnapshotUpdate,
  SnapshotUsage,
} from './snapshotter.ts';

export interface OverlaySnapshotterOptions {
  readonly root: string;
  readonly log?: Logger;
  /** Put everything of a committed snapshot on the disk before it is called committed. Default true. */
  readonly isDurable?: boolean;
  /** Attributes in `user.` instead of `trusted.`, as overlayfs wants it in a user namespace. Default false. */
  readonly isUserXattr?: boolean;
}

export class OverlaySnapshotter implements Snapshotter {
  readonly #metadata: SnapshotMetadata;
  readonly #directories: SnapshotDirectories;
  readonly #options: OverlaySnapshotterOptions;
  readonly #extraOptions: readonly string[];

  constructor(options: OverlaySnapshotterOptions) {
    this.#options = options;
    const log = options.log ?? silentLogger;
    this.#directories = new SnapshotDirectories(options.root, log);
    this.#metadata = new SnapshotMetadata(options.root, log);
    this.#directories.recover(this.#metadata);
    // With an index the kernel refuses lower directories that were part of another overlay before.
    const hasIndex = existsSync('/sys/module/overlay/parameters/index');
    this.#extraOptions = [...(hasIndex ? ['index=off'] : []), ...(options.isUserXattr ? ['userxattr'] : [])];
  }

  async stat(key: string): Promise<SnapshotInfo> {
    return this.#metadata.get(key).info;
  }

  async update(update: SnapshotUpdate): Promise<SnapshotInfo> {
    return this.#metadata.update(update);
  }

  async usage(key: string): Promise<SnapshotUsage> {
    const record = this.#metadata.get(key);
    if (record.usage !== undefined) return record.usage;
    const usage = await measureTree(this.#upper(record.id));
    // A committed tree does not change, so measuring it late gives what would have been measured then.
    if (record.info.kind === 'committed') this.#metadata.recordUsage(record.id, usage);
    return usage;
  }

  async mounts(key: string): Promise<readonly Mount[]> {
    const record = this.#metadata.get(key);
    if (record.info.kind === 'committed')
      throw new BoxshipError('failedPrecondition', `snapshot ${key} is committed: it has no mounts`);
    return this.#mounts(record);
  }

  async prepare(key: string, parent: string, options: SnapshotOptions = {}): Promise<readonly Mount[]> {
    return await this.#create('active', key, parent, options);
  }

  async view(key: string, parent: string, options: SnapshotOptions = {}): Promise<readonly Mount[]> {
    return await this.#create('view', key, parent, options);
  }

  async commit(name: string, key: string, options: SnapshotOptions = {}): Promise<void> {
    const { id, info } = this.#metadata.get(key);
    if (info.kind === 'active' && this.#options.isDurable !== false) await syncFilesystem(this.#directories.path(id));
    this.#metadata.commit(name, key, options);
  }

  async remove(key: string): Promise<void> {
    this.#directories.remove(this.#metadata.remove(key));
  }

  async *list(filter: FilterPredicate = () => true): AsyncGenerator<SnapshotInfo, void, undefined> {
    for (const info of this.#metadata.infos()) if (filter(snapshotFields(info))) yield info;
  }

  async cleanup(): Promise<void> {
    await this.#directories.cleanup();
  }

  async close(): Promise<void> {
    await this.#directories.cleanup();
    this.#metadata.close();
  }

  async #create(
    kind: 'active' | 'view',
    key: string,
    parent: string,
    options: SnapshotOptions,
  ): Promise<readonly Mount[]> {
    const parentIds = this.#metadata.check(key, parent);
    await using staged = this.#directories.stage();
    chmodSync(staged.path, 0o700);
    const upper = join(staged.path, 'fs');
    mkdirSync(upper);
    chmodSync(upper, 0o755);
    if (kind === 'active') mkdirSync(join(staged.path, 'work'), { mode: 0o711 });
    const [nearest] = parentIds;
    if (nearest !== undefined) {
      // This directory is the root of the mounted tree. It has the owner of the one below but its own mode, as with the
      // references: an image whose root is closed to others still runs as an ordinary user.
      const below = statSync(this.#upper(nearest));
      chownSync(upper, below.uid, below.gid);
    }
    await this.#directories.sync();
    return this.#mounts(this.#metadata.create({ name: key, kind, parent, ...options }, (id) => staged.place(id)));
  }

  #mounts(record: SnapshotRecord): readonly Mount[] {
    const { id, parentIds, info } = record;
    const isView = info.kind === 'view';
    const [nearest] = parentIds;
    if (nearest === undefined)
      return [{ type: 'bind', source: this.#upper(id), options: [isView ? 'ro' : 'rw', 'rbind'] }];
    if (isView && parentIds.length === 1)
      return [{ type: 'bind', source: this.#upper(nearest), options: ['ro', 'rbind'] }];
    const writable = isView
      ? []
      : [`workdir=${join(this.#directories.path(id), 'work')}`, `upperdir=${this.#upper(id)}`];
    const lower = `lowerdir=${parentIds.map((parent) => this.#upper(parent)).join(':')}`;
    return [{ type: 'overlay', source: 'overlay', options: [...this.#extraOptions, ...writable, lower] }];
  }

  #upper(id: number): string {
    return join(this.#directories.path(id), 'fs');
  }
}
