/** What snapshotters share whose snapshots are files below their directory: a driver says where. */
import { measureTree } from '@boxship/archive';
import { DirectorySnapshotter } from './directory-snapshotter.ts';
import type { SnapshotRecord } from './metadata.ts';
import type { SnapshotUsage } from './snapshotter.ts';

export abstract class TreeSnapshotter extends DirectorySnapshotter {
  /** The files of a snapshot. */
  protected abstract tree(id: number): string;

  protected override async measure({ id }: SnapshotRecord): Promise<SnapshotUsage> {
    return await measureTree(this.tree(id));
  }
}
