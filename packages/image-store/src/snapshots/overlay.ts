/**
 * Snapshots as layers of overlayfs, in containerd's layout: `<root>/snapshots/<number>/{fs,work}`. A committed snapshot is its
 * `fs` directory, unchanged from then on; mounting is up to the caller.
 */
import { chmodSync, chownSync, existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { DirectorySnapshotterOptions, NewSnapshot } from './directory-snapshotter.ts';
import type { SnapshotRecord } from './metadata.ts';
import type { Mount } from './snapshotter.ts';
import { TreeSnapshotter } from './tree-snapshotter.ts';

export interface OverlaySnapshotterOptions extends DirectorySnapshotterOptions {
  /** Attributes in `user.` instead of `trusted.`, as overlayfs wants it in a user namespace. Default false. */
  readonly isUserXattr?: boolean;
}

export class OverlaySnapshotter extends TreeSnapshotter {
  readonly #extraOptions: readonly string[];

  constructor(options: OverlaySnapshotterOptions) {
    super(options);
    // With an index the kernel refuses lower directories that were part of another overlay before.
    const hasIndex = existsSync('/sys/module/overlay/parameters/index');
    this.#extraOptions = [...(hasIndex ? ['index=off'] : []), ...(options.isUserXattr ? ['userxattr'] : [])];
  }

  protected override tree(id: number): string {
    return join(this.directories.path(id), 'fs');
  }

  protected override async fill(directory: string, { kind, parentIds }: NewSnapshot): Promise<void> {
    chmodSync(directory, 0o700);
    const upper = join(directory, 'fs');
    mkdirSync(upper);
    chmodSync(upper, 0o755);
    if (kind === 'active') mkdirSync(join(directory, 'work'), { mode: 0o711 });
    const [nearest] = parentIds;
    if (nearest === undefined) return;
    // This directory is the root of the mounted tree. It has the owner of the one below but its own mode, as with the
    // references: an image whose root is closed to others still runs as an ordinary user.
    const below = statSync(this.tree(nearest));
    chownSync(upper, below.uid, below.gid);
  }

  protected override mountsOf({ id, parentIds, info }: SnapshotRecord): readonly Mount[] {
    const isView = info.kind === 'view';
    const [nearest] = parentIds;
    if (nearest === undefined)
      return [{ type: 'bind', source: this.tree(id), options: [isView ? 'ro' : 'rw', 'rbind'] }];
    if (isView && parentIds.length === 1)
      return [{ type: 'bind', source: this.tree(nearest), options: ['ro', 'rbind'] }];
    const writable = isView ? [] : [`workdir=${join(this.directories.path(id), 'work')}`, `upperdir=${this.tree(id)}`];
    const lower = `lowerdir=${parentIds.map((parent) => this.tree(parent)).join(':')}`;
    return [{ type: 'overlay', source: 'overlay', options: [...this.#extraOptions, ...writable, lower] }];
  }
}
