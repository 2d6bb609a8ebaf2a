/**
 * Volumes as datasets of ZFS below the one that is mounted at the snapshotter's root, through zfs(8). A sealed volume is its
 * snapshot `@sealed`, a copy is a clone of that. Facts: zfs-create(8), zfs-clone(8), zfsprops(7).
 */
import { randomBytes } from 'node:crypto';
import { BoxshipError } from '@boxship/base';
import { readMountInfo } from '@boxship/linux';
import type { Mount } from '../snapshotter.ts';
import { runTool } from './run-tool.ts';
import type { Volume, VolumePool } from './volume-pool.ts';

const sealed = 'sealed';

export class ZfsPool implements VolumePool {
  readonly #dataset: string;

  /** @throws failedPrecondition when no dataset is mounted at the directory */
  constructor(directory: string) {
    const dataset = datasetAt(directory);
    if (dataset === undefined) throw new BoxshipError('failedPrecondition', `${directory} is no dataset of ZFS`);
    this.#dataset = dataset;
  }

  newVolume(): Volume {
    return { name: `${this.#dataset}/${randomBytes(8).toString('hex')}`, sizeBytes: 0 };
  }

  async checkSpace(): Promise<void> {
    const available = (await zfs('get', '-Hpo', 'value', 'available', this.#dataset)).trim();
    if (available === '0')
      throw new BoxshipError('resourceExhausted', `dataset ${this.#dataset} is full: extend its pool`);
  }

  async create({ name }: Volume): Promise<void> {
    await zfs('create', '-o', 'mountpoint=legacy', name);
  }

  async copy({ name }: Volume, origin: Volume): Promise<void> {
    await zfs('clone', '-o', 'mountpoint=legacy', `${origin.name}@${sealed}`, name);
  }

  async activate(): Promise<void> {}

  async seal({ name }: Volume): Promise<void> {
    // a commit that failed after this point may have left one
    await zfs('destroy', `${name}@${sealed}`).catch((error: unknown) => {
      if (!BoxshipError.is(error, 'notFound')) throw error;
    });
    await zfs('snapshot', `${name}@${sealed}`);
  }

  async deactivate(): Promise<void> {}

  async delete({ name }: Volume): Promise<void> {
    try {
      await zfs('destroy', '-r', name);
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound')) throw error;
    }
  }

  mount({ name }: Volume, isReadOnly: boolean): Mount {
    return { type: 'zfs', source: name, options: [isReadOnly ? 'ro' : 'rw'] };
  }
}

/** The dataset that is mounted at this directory. */
export const datasetAt = (directory: string): string | undefined =>
  readMountInfo().findLast(({ mountPoint, type }) => mountPoint === directory && type === 'zfs')?.source;

const zfs = (...args: readonly string[]): Promise<string> =>
  runTool('zfs', args, [
    [/already exists/, 'alreadyExists'],
    [/does not exist|could not find any snapshots/, 'notFound'],
    [/busy|has dependent clones/, 'unavailable'],
    [/out of space/, 'resourceExhausted'],
  ]);
