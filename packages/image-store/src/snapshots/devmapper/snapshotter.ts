/**
 * Snapshots as devices of a thin pool, each with a file system (ext4) of its own: what a layer changes is shared with the one
 * below block by block, and a container's writes never meet the host's file system. `<root>/snapshots/<number>/device` tells
 * which device a snapshot is. The pool is the snapshotter's alone, and is made by who runs the host.
 */
import { execFile } from 'node:child_process';
import { rmdirSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BoxshipError, messageOf } from '@boxship/base';
import { DirectorySnapshotter, type DirectorySnapshotterOptions, type NewSnapshot } from '../directory-snapshotter.ts';
import type { SnapshotRecord } from '../metadata.ts';
import type { Mount, SnapshotUsage } from '../snapshotter.ts';
import { withMounts } from '../with-mounts.ts';
import { type DeviceRecord, devicesBelow, readDevice, writeDevice } from './device-file.ts';
import { ThinPool } from './thin-pool.ts';

export interface DevmapperOptions extends DirectorySnapshotterOptions {
  /** Name of the thin pool. */
  readonly pool: string;
  /** Of the file system of a snapshot without parent, and so of all above it. Default 10 GiB, of which nothing is taken at first. */
  readonly baseSizeBytes?: number;
}

const mkfsMs = 120_000;
/** dm-thin counts devices in 24 bits. */
const deviceLimit = 2 ** 24;
/** ext4 counts them as used: the root's and nine that have no name (ext4(5), "special inodes"). */
const reservedInodes = 10;

export class DevmapperSnapshotter extends DirectorySnapshotter {
  readonly #pool: ThinPool;
  readonly #baseSizeBytes: number;
  #next: number;

  constructor(options: DevmapperOptions) {
    super(options);
    this.#pool = new ThinPool(options.pool);
    this.#baseSizeBytes = options.baseSizeBytes ?? 10 * 2 ** 30;
    this.#next = 1 + Math.max(0, ...devicesBelow(this.directories.root));
  }

  override async close(): Promise<void> {
    await super.close();
    // one that a container uses stays until its last user goes
    for (const device of devicesBelow(this.directories.root)) await this.#pool.deactivate(device);
  }

  protected override async fill(directory: string, { kind, parentIds }: NewSnapshot): Promise<void> {
    await this.#pool.checkSpace();
    const [nearest] = parentIds;
    const parent = nearest === undefined ? undefined : this.#record(nearest);
    const sizeBytes = parent?.sizeBytes ?? this.#baseSizeBytes;
    const device = await this.#make(directory, sizeBytes, parent?.device);
    await this.#pool.activate(device, sizeBytes);
    const before = parent?.after ?? (await this.#format(device, kind));
    writeDevice(directory, { device, sizeBytes, before });
  }

  protected override async seal(record: SnapshotRecord): Promise<SnapshotUsage> {
    const own = await this.#activated(record.id);
    await this.#pool.flush(own.device);
    const after = await this.#used(own.device, false);
    writeDevice(this.directories.path(record.id), { ...own, after });
    await this.#pool.deactivate(own.device);
    return difference(after, own.before);
  }

  protected override async measure({ id, info }: SnapshotRecord): Promise<SnapshotUsage> {
    const own = await this.#activated(id);
    return difference(own.after ?? (await this.#used(own.device, info.kind === 'view')), own.before);
  }

  protected override async prepareTree(id: number): Promise<void> {
    await this.#activated(id);
  }

  protected override async free(directory: string): Promise<void> {
    const own = readDevice(directory);
    if (own !== undefined) await this.#pool.delete(own.device);
  }

  protected override mountsOf({ id, info }: SnapshotRecord): readonly Mount[] {
    return [this.#mount(this.#record(id).device, info.kind === 'view')];
  }

  /** noinit_itable: the inode tables that mkfs has left out must not take blocks of the pool as soon as it is mounted. */
  #mount(device: number, isReadOnly: boolean): Mount {
    return { type: 'ext4', source: this.#pool.path(device), options: [isReadOnly ? 'ro' : 'rw', 'noinit_itable'] };
  }

  #record(id: number): DeviceRecord {
    const record = readDevice(this.directories.path(id));
    if (record === undefined)
      throw new BoxshipError('dataLoss', `${this.directories.path(id)}: no file tells its device`);
    return record;
  }

  async #activated(id: number): Promise<DeviceRecord> {
    const record = this.#record(id);
    await this.#pool.activate(record.device, record.sizeBytes);
    return record;
  }

  /** Makes a device under the next number that is free. */
  async #make(directory: string, sizeBytes: number, origin: number | undefined): Promise<number> {
    for (;;) {
      const device = this.#next++;
      if (device >= deviceLimit) throw new BoxshipError('resourceExhausted', 'the thin pool has no number left');
      writeDevice(directory, { device, sizeBytes });
      try {
        if (origin === undefined) await this.#pool.create(device);
        else await this.#pool.snapshot(device, origin);
        return device;
      } catch (error) {
        if (!BoxshipError.is(error, 'alreadyExists')) throw error;
      }
    }
  }

  /** An empty file system; what it holds by itself is not a snapshot's. */
  async #format(device: number, kind: NewSnapshot['kind']): Promise<SnapshotUsage> {
    const path = this.#pool.path(device);
    const lazy = 'nodiscard,lazy_itable_init=1,lazy_journal_init=1';
    try {
      await promisify(execFile)('mkfs.ext4', ['-q', '-E', lazy, path], { timeout: mkfsMs });
    } catch (cause) {
      throw new BoxshipError('internal', `mkfs.ext4 ${path}: ${messageOf(cause)}`, { cause });
    }
    await withMounts([this.#mount(device, false)], async (root) => rmdirSync(join(root, 'lost+found')));
    const empty = await this.#used(device, false);
    // the root directory counts as the snapshot's own, as with other drivers
    return kind === 'view' ? empty : { inodes: empty.inodes - 1, sizeBytes: Math.max(0, empty.sizeBytes - 4096) };
  }

  /**
   * What the file system holds; cheap, as the file system keeps count.
   * @param isReadOnly as it is mounted elsewhere: the kernel refuses to mount it both ways (EBUSY)
   */
  async #used(device: number, isReadOnly: boolean): Promise<SnapshotUsage> {
    return await withMounts([this.#mount(device, isReadOnly)], async (root) => {
      const { blocks, bfree, bsize, files, ffree } = statfsSync(root);
      return { inodes: files - ffree - reservedInodes + 1, sizeBytes: (blocks - bfree) * bsize };
    });
  }
}

const difference = (now: SnapshotUsage, before: SnapshotUsage = { inodes: 0, sizeBytes: 0 }): SnapshotUsage => ({
  inodes: Math.max(0, now.inodes - before.inodes),
  sizeBytes: Math.max(0, now.sizeBytes - before.sizeBytes),
});
