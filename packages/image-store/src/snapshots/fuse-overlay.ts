/**
 * Snapshots as layers of fuse-overlayfs, for hosts on which overlayfs may not be mounted. The layout is that of overlayfs; the
 * mounts name mount.fuse3(8), which whoever mounts them runs, as with containerd's own snapshotter of this name.
 */
import type { SnapshotRecord } from './metadata.ts';
import { OverlaySnapshotter } from './overlay.ts';
import type { Mount } from './snapshotter.ts';

export class FuseOverlaySnapshotter extends OverlaySnapshotter {
  protected override mountsOf(record: SnapshotRecord): readonly Mount[] {
    return super
      .mountsOf(record)
      .map((one) =>
        one.type === 'overlay'
          ? { ...one, type: 'fuse3.fuse-overlayfs', options: one.options.filter((option) => option !== 'index=off') }
          : one,
      );
  }
}
