/**
 * Snapshots as subvolumes of btrfs: `<root>/snapshots/<number>/fs`. A layer is a snapshot of the one below, which costs nothing
 * until it is written to; everything is mounted by bind. The root must lie on btrfs.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import { createSubvolume, deleteSubvolume, isOnBtrfs, snapshotSubvolume } from '@boxship/linux';
import type { DirectorySnapshotterOptions, NewSnapshot } from './directory-snapshotter.ts';
import type { SnapshotRecord } from './metadata.ts';
import type { Mount } from './snapshotter.ts';
import { TreeSnapshotter } from './tree-snapshotter.ts';

const subvolume = 'fs';

export class BtrfsSnapshotter extends TreeSnapshotter {
  /** @throws failedPrecondition when the root is on another file system */
  constructor(options: DirectorySnapshotterOptions) {
    super(options);
    if (!isOnBtrfs(options.root)) throw new BoxshipError('failedPrecondition', notOnBtrfs(options.root));
  }

  protected override tree(id: number): string {
    return join(this.directories.path(id), subvolume);
  }

  protected override async fill(directory: string, { kind, parentIds }: NewSnapshot): Promise<void> {
    const [nearest] = parentIds;
    if (nearest === undefined) {
      createSubvolume(directory, subvolume);
      chmodSync(join(directory, subvolume), 0o755);
    } else snapshotSubvolume(this.tree(nearest), directory, subvolume, { isReadOnly: kind === 'view' });
  }

  protected override release(directory: string): void {
    try {
      deleteSubvolume(directory, subvolume);
    } catch (error) {
      // absent in a directory that was never filled; else its files are removed one by one
      if (!BoxshipError.is(error)) throw error;
    }
  }

  protected override mountsOf({ id, info }: SnapshotRecord): readonly Mount[] {
    return [{ type: 'bind', source: this.tree(id), options: ['rbind', info.kind === 'view' ? 'ro' : 'rw'] }];
  }
}

export const notOnBtrfs = (root: string): string =>
  `path ${root} must be a btrfs filesystem to be used with the btrfs snapshotter`;
