/**
 * Snapshots as full copies: works on any file system, costs a copy per snapshot (shared blocks where the file system can).
 * Layout: `<root>/snapshots/<number>` is the tree.
 */
import { chmodSync } from 'node:fs';
import { copyTree } from '@boxship/archive';
import type { DirectorySnapshotterOptions, NewSnapshot } from './directory-snapshotter.ts';
import type { SnapshotRecord } from './metadata.ts';
import type { Mount } from './snapshotter.ts';
import { TreeSnapshotter } from './tree-snapshotter.ts';

export type NativeSnapshotterOptions = DirectorySnapshotterOptions;

export class NativeSnapshotter extends TreeSnapshotter {
  protected override tree(id: number): string {
    return this.directories.path(id);
  }

  protected override async fill(directory: string, { kind, parentIds }: NewSnapshot): Promise<void> {
    const [nearest] = parentIds;
    // A committed tree is never written, so a view shows it as it is instead of copying it.
    if (kind === 'view' && nearest !== undefined) return;
    chmodSync(directory, 0o755);
    if (nearest !== undefined) await copyTree(this.tree(nearest), directory);
  }

  protected override mountsOf({ id, parentIds, info }: SnapshotRecord): readonly Mount[] {
    const isView = info.kind === 'view';
    const shown = isView ? (parentIds[0] ?? id) : id;
    return [{ type: 'bind', source: this.tree(shown), options: ['rbind', isView ? 'ro' : 'rw'] }];
  }
}
