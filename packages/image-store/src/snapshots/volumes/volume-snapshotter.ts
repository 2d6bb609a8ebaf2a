/**
 * Snapshots as volumes of a pool, each with a file system of its own: what a layer changes is shared with the one below block by
 * block, and a container's writes never meet the host's file system. `<root>/snapshots/<number>/volume` tells which volume a
 * snapshot is.
 */
import { statfsSync } from 'node:fs';
import { BoxshipError, sleep } from '@boxship/base';
import { syncFilesystem } from '@boxship/linux';
import { DirectorySnapshotter, type DirectorySnapshotterOptions, type NewSnapshot } from '../directory-snapshotter.ts';
import type { SnapshotRecord } from '../metadata.ts';
import type { Mount, SnapshotUsage } from '../snapshotter.ts';
import { withMounts } from '../with-mounts.ts';
import { readVolume, type VolumeRecord, volumesBelow, writeVolume } from './volume-file.ts';
import type { Volume, VolumePool } from './volume-pool.ts';

const freeAttempts = 6;
const freePauseMs = 100;

export class VolumeSnapshotter extends DirectorySnapshotter {
  readonly #pool: VolumePool;
  /** Names that a directory tells of: one that is given up frees the volume of that name. */
  readonly #names: Set<string>;
  /** How many volumes were freed. */
  #freed = 0;

  constructor(options: DirectorySnapshotterOptions, pool: VolumePool) {
    super(options);
    this.#pool = pool;
    this.#names = new Set(volumesBelow(this.directories.root).map(({ name }) => name));
  }

  override async close(): Promise<void> {
    await super.close();
    const failures: unknown[] = [];
    for (const volume of volumesBelow(this.directories.root))
      await this.#pool.deactivate(volume).catch((error: unknown) => failures.push(error)); // the others are let go of all the same
    if (failures.length > 0) throw failures[0];
  }

  protected override async fill(directory: string, { kind, parentIds }: NewSnapshot): Promise<void> {
    await this.#pool.checkSpace();
    const [nearest] = parentIds;
    const parent = nearest === undefined ? undefined : this.#record(nearest);
    const volume = await this.#make(directory, parent);
    const before = parent?.after ?? withoutRoot(await this.#used(volume, kind === 'view'));
    writeVolume(directory, { ...volume, before });
  }

  protected override async seal(record: SnapshotRecord): Promise<SnapshotUsage> {
    const own = await this.#activated(record.id);
    const after = await this.#used(own, false);
    await this.#pool.seal(own);
    writeVolume(this.directories.path(record.id), { ...own, after });
    await this.#pool.deactivate(own);
    return difference(after, own.before);
  }

  protected override async measure({ id, info }: SnapshotRecord): Promise<SnapshotUsage> {
    const own = await this.#activated(id);
    return difference(own.after ?? (await this.#used(own, info.kind === 'view')), own.before);
  }

  protected override async prepareTree(id: number): Promise<void> {
    await this.#activated(id);
  }

  /** A mount that is ending holds it for a moment, and a copy until that is freed: as long as volumes go it is tried again. */
  protected override async free(directory: string): Promise<void> {
    const own = readVolume(directory);
    if (own === undefined) return;
    for (let attempt = 1, freed = this.#freed; ; attempt++) {
      try {
        await this.#pool.delete(own);
        this.#freed++;
        return;
      } catch (error) {
        if (this.#freed > freed) [attempt, freed] = [0, this.#freed];
        if (attempt === freeAttempts || !BoxshipError.is(error, 'unavailable')) throw error;
        await sleep(freePauseMs * attempt);
      }
    }
  }

  protected override mountsOf({ id, info }: SnapshotRecord): readonly Mount[] {
    return [this.#pool.mount(this.#record(id), info.kind === 'view')];
  }

  #record(id: number): VolumeRecord {
    const directory = this.directories.path(id);
    const record = readVolume(directory);
    if (record === undefined) throw new BoxshipError('dataLoss', `${directory}: no file tells its volume`);
    return record;
  }

  async #activated(id: number): Promise<VolumeRecord> {
    const record = this.#record(id);
    await this.#pool.activate(record);
    return record;
  }

  async #make(directory: string, origin: Volume | undefined): Promise<Volume> {
    for (;;) {
      const fresh = this.#pool.newVolume();
      if (this.#names.has(fresh.name)) continue;
      // a copy is as large as what it is a copy of
      const volume = { name: fresh.name, sizeBytes: origin?.sizeBytes ?? fresh.sizeBytes };
      writeVolume(directory, volume);
      this.#names.add(volume.name);
      try {
        await (origin === undefined ? this.#pool.create(volume) : this.#pool.copy(volume, origin));
        return volume;
      } catch (error) {
        if (!BoxshipError.is(error, 'alreadyExists')) throw error;
      }
    }
  }

  /**
   * What the file system holds; cheap, as the file system keeps count.
   * @param isReadOnly as it is mounted elsewhere: the kernel refuses to mount it both ways (EBUSY)
   */
  async #used(volume: Volume, isReadOnly: boolean): Promise<SnapshotUsage> {
    return await withMounts([this.#pool.mount(volume, isReadOnly)], async (root) => {
      await syncFilesystem(root); // blocks are counted when they are given out
      const { blocks, bfree, bsize, files, ffree } = statfsSync(root);
      return { inodes: files - ffree, sizeBytes: (blocks - bfree) * bsize };
    });
  }
}

/** What an empty file system holds by itself is not the snapshot's, but for the root directory, as with other drivers. */
const withoutRoot = (empty: SnapshotUsage): SnapshotUsage => ({ ...empty, inodes: empty.inodes - 1 });

const difference = (now: SnapshotUsage, before: SnapshotUsage = { inodes: 0, sizeBytes: 0 }): SnapshotUsage => ({
  inodes: Math.max(0, now.inodes - before.inodes),
  sizeBytes: Math.max(0, now.sizeBytes - before.sizeBytes),
});
