/**
 * Snapshots whose committed layers are read-only images: `<root>/snapshots/<number>/layer.erofs`, mounted at `fs` beside it when a
 * snapshot above needs it, without a loop device (Linux 6.12). What is written goes into the upper directory of an overlay, and
 * becomes an image when it is committed: one file to make durable per layer, and nothing that could change afterwards.
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { measureTree, removeTree } from '@boxship/archive';
import { BoxshipError, messageOf, syncDirectorySync } from '@boxship/base';
import { mount, mountsUnder, unmount, unmountAll } from '@boxship/linux';
import type { SnapshotRecord } from './metadata.ts';
import { OverlaySnapshotter } from './overlay.ts';
import type { SnapshotUsage } from './snapshotter.ts';

const image = 'layer.erofs';
const makeMs = 600_000;
// an image of equal files is equal: without it mkfs.erofs takes a random one
const uuid = '00000000-0000-0000-0000-000000000000';

export class ErofsSnapshotter extends OverlaySnapshotter {
  override async close(): Promise<void> {
    await super.close();
    // overlays that containers use hold the images by themselves
    for (const { mountPoint } of mountsUnder(this.directories.root).toReversed()) unmount(mountPoint, { isLazy: true });
  }

  /** Writes the image of an active snapshot. Its directory stays as it is until the name is committed. */
  protected override async seal({ id }: SnapshotRecord): Promise<SnapshotUsage> {
    const directory = this.directories.path(id);
    const temporary = join(directory, `${image}.new`);
    rmSync(temporary, { force: true });
    try {
      const args = ['--quiet', '--preserve-mtime', `-U${uuid}`, temporary, this.tree(id)];
      await promisify(execFile)('mkfs.erofs', args, { timeout: makeMs });
    } catch (cause) {
      throw new BoxshipError('internal', `mkfs.erofs ${this.tree(id)}: ${messageOf(cause)}`, { cause });
    }
    await using file = await open(temporary, 'r');
    await file.sync();
    renameSync(temporary, join(directory, image));
    syncDirectorySync(directory);
    return await measureTree(this.tree(id));
  }

  protected override release(directory: string): void {
    unmountAll(join(directory, 'fs'));
  }

  /** The layers below are mounted; those of a start before this one may be already. */
  protected override async prepareParents(ids: readonly number[]): Promise<void> {
    const mounted = new Set(mountsUnder(this.directories.root).map(({ mountPoint }) => mountPoint));
    for (const id of ids) {
      const target = this.tree(id);
      if (mounted.has(target) || !existsSync(join(this.directories.path(id), image))) continue;
      // the files that the image was made of
      for (const name of readdirSync(target)) await removeTree(join(target, name));
      mount({ type: 'erofs', source: join(this.directories.path(id), image), target, options: ['ro'] });
    }
  }
}
