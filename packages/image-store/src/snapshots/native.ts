/**
 * Snapshots as full copies: works on any file system, costs a copy per snapshot (shared blocks where the file system can).
 * Layout: `<root>/snapshots/<number>` is the tree.
 */
import { chmodSync } from 'node:fs';
import { copyTree, measureTree } from '@boxship/archive';
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

export interface NativeSnapshotterOptions {
  readonly root: string;
  readonly log?: Logger;
  /** As in the overlay snapshotter. Default true. */
  readonly isDurable?: boolean;
}

export class NativeSnapshotter implements Snapshotter {
  readonly #metadata: SnapshotMetadata;
  readonly #directories: SnapshotDirectories;
  readonly #isDurable: boolean;

  constructor(options: NativeSnapshotterOptions) {
    const log = options.log ?? silentLogger;
    this.#isDurable = options.isDurable ?? true;
    this.#directories = new SnapshotDirectories(options.root, log);
    this.#metadata = new SnapshotMetadata(options.root, log);
    this.#directories.recover(this.#metadata);
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
    const usage = await measureTree(this.#directories.path(record.id));
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
    if (info.kind === 'active' && this.#isDurable) await syncFilesystem(this.#directories.path(id));
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
    const [nearest] = this.#metadata.check(key, parent);
    if (kind === 'view' && nearest !== undefined) {
      // A committed tree is never written, so a view shows it as it is instead of copying it.
      await using staged = this.#directories.stage();
      return this.#mounts(this.#metadata.create({ name: key, kind, parent, ...options }, (id) => staged.place(id)));
    }
    await using staged = this.#directories.stage();
    chmodSync(staged.path, 0o755);
    if (nearest !== undefined) await copyTree(this.#directories.path(nearest), staged.path);
    await this.#directories.sync();
    return this.#mounts(this.#metadata.create({ name: key, kind, parent, ...options }, (id) => staged.place(id)));
  }

  #mounts(record: SnapshotRecord): readonly Mount[] {
    const { id, parentIds, info } = record;
    const isView = info.kind === 'view';
    const shown = isView ? (parentIds[0] ?? id) : id;
    return [{ type: 'bind', source: this.#directories.path(shown), options: ['rbind', isView ? 'ro' : 'rw'] }];
  }
}
