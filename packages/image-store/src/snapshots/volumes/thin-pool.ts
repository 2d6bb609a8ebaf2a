/**
 * Volumes as devices of a thin pool of the device mapper, through dmsetup(8), with ext4 on each. Facts: the kernel's
 * Documentation/admin-guide/device-mapper/thin-provisioning.rst. The name of a volume is its number in the pool; an active one is
 * the block device `/dev/mapper/<pool>-snap-<number>`. The pool itself is made by who runs the host.
 */
import { randomInt } from 'node:crypto';
import { existsSync, rmdirSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import type { Mount } from '../snapshotter.ts';
import { withMounts } from '../with-mounts.ts';
import { runTool } from './run-tool.ts';
import type { Volume, VolumePool } from './volume-pool.ts';

export interface ThinPoolOptions {
  /** Name of an active pool, as `dmsetup ls` shows it. */
  readonly pool: string;
  /** Of a volume that is no copy. Default 10 GiB, of which nothing is taken at first. */
  readonly sizeBytes?: number;
}

/** dm-thin counts devices in 24 bits. */
const numbers = 2 ** 24;
const sectorBytes = 512;

export class ThinPool implements VolumePool {
  readonly #pool: string;
  readonly #sizeBytes: number;

  constructor({ pool, sizeBytes = 10 * 2 ** 30 }: ThinPoolOptions) {
    this.#pool = pool;
    this.#sizeBytes = sizeBytes;
  }

  newVolume(): Volume {
    return { name: String(randomInt(numbers)), sizeBytes: this.#sizeBytes };
  }

  async checkSpace(): Promise<void> {
    const status = await dmsetup('status', '--target', 'thin-pool', this.#pool);
    // 0 409600 thin-pool <transaction> <used>/<total metadata> <used>/<total data> <held root> rw|ro|out_of_data_space …
    const [, , , , metadata = '', data = '', , mode = ''] = status.trim().split(/\s+/);
    if (metadata === '')
      throw new BoxshipError('failedPrecondition', `${this.#pool} is no thin pool: ${status.trim()}`);
    if (mode !== 'rw' || isFull(metadata) || isFull(data))
      throw new BoxshipError(
        'resourceExhausted',
        `thin pool ${this.#pool} takes nothing more (${mode}, metadata ${metadata}, data ${data} blocks): extend it`,
      );
  }

  async create(volume: Volume): Promise<void> {
    await this.#message(`create_thin ${volume.name}`);
    await this.activate(volume);
    const lazy = 'nodiscard,lazy_itable_init=1,lazy_journal_init=1';
    await runTool('mkfs.ext4', ['-q', '-E', lazy, this.#path(volume)]);
    await withMounts([this.mount(volume, false)], async (root) => rmdirSync(join(root, 'lost+found')));
  }

  async copy(volume: Volume, origin: Volume): Promise<void> {
    // what an active origin has not written yet would be missing (thin-provisioning.rst, "Internal snapshots")
    const isActive = existsSync(this.#path(origin));
    if (isActive) await dmsetup('suspend', this.#device(origin));
    try {
      await this.#message(`create_snap ${volume.name} ${origin.name}`);
    } finally {
      if (isActive) await dmsetup('resume', this.#device(origin));
    }
    await this.activate(volume);
  }

  async activate(volume: Volume): Promise<void> {
    if (existsSync(this.#path(volume))) {
      await dmsetup('message', this.#device(volume), '0', '@cancel_deferred_remove');
      return;
    }
    const sectors = Math.floor(volume.sizeBytes / sectorBytes);
    const table = `0 ${sectors} thin /dev/mapper/${this.#pool} ${volume.name}`;
    await dmsetup('create', this.#device(volume), '--table', table);
  }

  async seal(volume: Volume): Promise<void> {
    // the file system on it writes what it holds back
    await dmsetup('suspend', this.#device(volume));
    await dmsetup('resume', this.#device(volume));
    await using file = await open(this.#path(volume), 'r+');
    await file.sync(); // a flush of a thin device commits the pool's metadata
  }

  async deactivate(volume: Volume): Promise<void> {
    if (existsSync(this.#path(volume))) await dmsetup('remove', '--deferred', this.#device(volume));
  }

  async delete(volume: Volume): Promise<void> {
    if (existsSync(this.#path(volume))) await dmsetup('remove', this.#device(volume));
    try {
      await this.#message(`delete ${volume.name}`);
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound')) throw error;
    }
  }

  /** noinit_itable: the inode tables that mkfs has left out must not take blocks of the pool as soon as it is mounted. */
  mount(volume: Volume, isReadOnly: boolean): Mount {
    return { type: 'ext4', source: this.#path(volume), options: [isReadOnly ? 'ro' : 'rw', 'noinit_itable'] };
  }

  #device({ name }: Volume): string {
    return `${this.#pool}-snap-${name}`;
  }

  #path(volume: Volume): string {
    return `/dev/mapper/${this.#device(volume)}`;
  }

  async #message(words: string): Promise<void> {
    await dmsetup('message', this.#pool, '0', words);
  }
}

const isFull = (share: string): boolean => {
  const [used = 0, total = 0] = share.split('/').map(Number);
  return used >= total;
};

/** The nodes in /dev/mapper are udev's, or dmsetup's own where no udev runs. */
const dmsetup = (...args: readonly string[]): Promise<string> =>
  runTool(
    'dmsetup',
    ['--verifyudev', ...args],
    [
      [/File exists/, 'alreadyExists'],
      [/No data available/, 'notFound'], // ENODATA: the pool has no such device
      [/busy/i, 'unavailable'],
      [/No such device/, 'failedPrecondition'],
    ],
  );
