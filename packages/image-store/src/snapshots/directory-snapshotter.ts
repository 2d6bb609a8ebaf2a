/**
 * What snapshotters over numbered directories share: metadata, usage, commit, removal and the recovery at the start. A driver
 * says how a tree is made, measured and mounted.
 */
import { BoxshipError, type FilterPredicate, type Logger, silentLogger } from '@boxship/base';
import { bootId, syncFilesystem } from '@boxship/linux';
import { isImageLayer } from '../labels.ts';
import { DeferredSyncs } from './deferred-syncs.ts';
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

export interface DirectorySnapshotterOptions {
  readonly root: string;
  readonly log?: Logger;
  /**
   * Put everything of a committed snapshot on the disk before it is called committed, or, if it is a layer of an image, before anything but
   * another layer stands on it. Default true.
   */
  readonly isDurable?: boolean;
  /** What tells this boot of the host from all others; default: the kernel's id. */
  readonly bootId?: string;
}

/** A snapshot to be made; `parentIds` are the numbers of the committed ones below, nearest first. */
export interface NewSnapshot {
  readonly kind: 'active' | 'view';
  readonly parentIds: readonly number[];
}

export abstract class DirectorySnapshotter implements Snapshotter {
  protected readonly directories: SnapshotDirectories;
  readonly #metadata: SnapshotMetadata;
  readonly #isDurable: boolean;
  readonly #bootId: string;
  readonly #syncs: DeferredSyncs;

  constructor(options: DirectorySnapshotterOptions) {
    const log = options.log ?? silentLogger;
    this.#isDurable = options.isDurable ?? true;
    this.directories = new SnapshotDirectories(options.root, log, {
      release: (directory) => this.release(directory),
      free: (directory) => this.free(directory),
    });
    this.#bootId = options.bootId ?? bootId();
    this.#metadata = new SnapshotMetadata(options.root, log);
    this.directories.recover(this.#metadata, this.#bootId);
    this.#syncs = new DeferredSyncs({
      root: this.directories.root,
      onSynced: (ids) => this.#metadata.markSynced(ids),
      onLost: (ids) => this.directories.drop(this.#metadata, ids),
      log,
    });
    for (const { id } of this.#metadata.unsynced()) this.#syncs.add(id);
  }

  /** Fills the empty directory that becomes the snapshot's. */
  protected abstract fill(directory: string, snapshot: NewSnapshot): Promise<void>;
  /** Lets go of what a directory is beside its files (mounts, subvolumes) before it is removed. */
  protected release(_directory: string): void {}
  /** Frees in the background what a removed directory stands for beside its files. */
  protected async free(_directory: string): Promise<void> {}
  /** Makes an active snapshot what a committed one is; may say what it uses. It must stay usable if the commit fails. */
  protected async seal(_record: SnapshotRecord): Promise<SnapshotUsage | undefined> {
    return undefined;
  }
  /** Makes the trees of committed snapshots readable. */
  protected async prepareParents(_ids: readonly number[]): Promise<void> {}
  /** Makes the tree of a snapshot that is not committed what its mounts need, also after a restart of the host. */
  protected async prepareTree(_id: number): Promise<void> {}
  /** What a snapshot adds to those below, now. */
  protected abstract measure(record: SnapshotRecord): Promise<SnapshotUsage>;
  /** How a snapshot that is not committed is mounted. */
  protected abstract mountsOf(record: SnapshotRecord): readonly Mount[];

  async stat(key: string): Promise<SnapshotInfo> {
    return this.#metadata.get(key).info;
  }

  async update(update: SnapshotUpdate): Promise<SnapshotInfo> {
    return this.#metadata.update(update);
  }

  async usage(key: string): Promise<SnapshotUsage> {
    const record = this.#metadata.get(key);
    if (record.usage !== undefined) return record.usage;
    const usage = await this.measure(record);
    // A committed tree does not change, so measuring it late gives what would have been measured then.
    if (record.info.kind === 'committed') this.#metadata.recordUsage(record.id, usage);
    return usage;
  }

  async mounts(key: string): Promise<readonly Mount[]> {
    const record = this.#metadata.get(key);
    if (record.info.kind === 'committed')
      throw new BoxshipError(
        'failedPrecondition',
        `failed to get active mount: requested snapshot ${key} not active or view`,
      );
    await this.prepareParents(record.parentIds);
    await this.prepareTree(record.id);
    return this.mountsOf(record);
  }

  async prepare(key: string, parent: string, options: SnapshotOptions = {}): Promise<readonly Mount[]> {
    return await this.#create('active', key, parent, options);
  }

  async view(key: string, parent: string, options: SnapshotOptions = {}): Promise<readonly Mount[]> {
    return await this.#create('view', key, parent, options);
  }

  async commit(name: string, key: string, options: SnapshotOptions = {}): Promise<void> {
    const record = this.#metadata.get(key);
    const isActive = record.info.kind === 'active';
    const usage = isActive ? await this.seal(record) : undefined;
    const isLater = isActive && this.#isDurable && isImageLayer(record.info.labels);
    if (isActive && this.#isDurable && !isLater) await syncFilesystem(this.directories.path(record.id));
    this.#metadata.commit(name, key, isLater ? { ...options, unsyncedIn: this.#bootId } : options);
    if (isLater) this.#syncs.add(record.id);
    if (usage !== undefined) this.#metadata.recordUsage(record.id, usage);
  }

  async remove(key: string): Promise<void> {
    this.directories.remove(this.#metadata.remove(key));
  }

  async *list(filter: FilterPredicate = () => true): AsyncGenerator<SnapshotInfo, void, undefined> {
    for (const info of this.#metadata.infos()) if (filter(snapshotFields(info))) yield info;
  }

  async cleanup(): Promise<void> {
    await this.directories.cleanup();
  }

  async close(): Promise<void> {
    await this.directories.cleanup();
    await this.#syncs.close();
    this.#metadata.close();
  }

  async #create(
    kind: NewSnapshot['kind'],
    key: string,
    parent: string,
    options: SnapshotOptions,
  ): Promise<readonly Mount[]> {
    const parentIds = this.#metadata.check(key, parent);
    const isDeferred = isImageLayer(options.labels);
    if (!isDeferred) await this.#syncs.settled(parentIds);
    await this.prepareParents(parentIds);
    await using staged = this.directories.stage();
    await this.fill(staged.path, { kind, parentIds });
    const place = (id: number): void => staged.place(id, { isDurable: !isDeferred });
    return this.mountsOf(this.#metadata.create({ name: key, kind, parent, ...options }, place, { isDeferred }));
  }
}
