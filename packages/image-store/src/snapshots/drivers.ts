/**
 * The snapshotters by name: which can be used on this host for a root, and why others cannot. A driver that the kernel or the
 * host does not allow is refused with the reason and with what to use instead; nothing of it is tried.
 */
import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { isOnBtrfs } from '@boxship/linux';
import { BtrfsSnapshotter, notOnBtrfs } from './btrfs.ts';
import type { DirectorySnapshotterOptions } from './directory-snapshotter.ts';
import { ErofsSnapshotter } from './erofs.ts';
import { FuseOverlaySnapshotter } from './fuse-overlay.ts';
import { NativeSnapshotter } from './native.ts';
import { OverlaySnapshotter } from './overlay.ts';
import type { Snapshotter } from './snapshotter.ts';
import { ThinPool } from './volumes/thin-pool.ts';
import { VolumeSnapshotter } from './volumes/volume-snapshotter.ts';
import { datasetAt, ZfsPool } from './volumes/zfs-pool.ts';

/** What some drivers need to be told. */
export interface SnapshotterSettings {
  /** Name of the device mapper's thin pool. */
  readonly devmapperPool?: string | undefined;
}

export interface SnapshotterDriver {
  /** As containerd names it. */
  readonly name: string;
  /** Why it cannot be used for this root; undefined when it can. */
  refusal(root: string, settings?: SnapshotterSettings): string | undefined;
  /** To be called only without a refusal. */
  open(options: DirectorySnapshotterOptions & SnapshotterSettings): Snapshotter;
}

/** By name, the default first. */
export const snapshotterDrivers: readonly SnapshotterDriver[] = [
  {
    name: 'overlayfs',
    refusal: (root) =>
      !hasFilesystem('overlay') ? 'overlayfs is not supported by this kernel: use native' : onOverlay(root),
    open: (options) => new OverlaySnapshotter(options),
  },
  { name: 'native', refusal: () => undefined, open: (options) => new NativeSnapshotter(options) },
  {
    name: 'btrfs',
    refusal: (root) =>
      !hasFilesystem('btrfs') || !isOnBtrfs(existing(root)) ? `${notOnBtrfs(root)}: use overlayfs` : undefined,
    open: (options) => new BtrfsSnapshotter(options),
  },
  {
    name: 'erofs',
    refusal: () =>
      !hasFilesystem('erofs')
        ? 'erofs is not supported by this kernel: use overlayfs'
        : !isKernelAtLeast(6, 12)
          ? 'erofs images without a loop device need Linux 6.12: use overlayfs'
          : missing('mkfs.erofs', 'erofs-utils'),
    open: (options) => new ErofsSnapshotter(options),
  },
  {
    name: 'fuse-overlayfs',
    refusal: () =>
      !existsSync('/dev/fuse')
        ? 'fuse-overlayfs needs /dev/fuse: use overlayfs or native'
        : (missing('fuse-overlayfs', 'fuse-overlayfs') ?? missing('mount.fuse3', 'fuse3')),
    open: (options) => new FuseOverlaySnapshotter(options),
  },
  {
    name: 'devmapper',
    refusal: (_root, { devmapperPool } = {}) => {
      if (!existsSync('/dev/mapper/control'))
        return 'devmapper needs the device mapper, which this kernel has not: use overlayfs';
      if (devmapperPool === undefined)
        return 'devmapper needs a thin pool of its own: name one with --devmapper-pool, or use overlayfs';
      if (!existsSync(`/dev/mapper/${devmapperPool}`))
        return `devmapper has no thin pool ${devmapperPool}: make it (dmsetup, lvcreate), or use overlayfs`;
      return missing('dmsetup', 'dmsetup') ?? missing('mkfs.ext4', 'e2fsprogs');
    },
    open: ({ devmapperPool: pool = '', ...options }) => new VolumeSnapshotter(options, new ThinPool({ pool })),
  },
  {
    name: 'zfs',
    refusal: (root) => {
      if (!hasFilesystem('zfs')) return 'zfs is not supported by this kernel: use overlayfs';
      if (datasetAt(root) === undefined)
        return `zfs needs a dataset at ${root}: make it (zfs create -o mountpoint=), or use overlayfs`;
      return missing('zfs', 'zfsutils-linux');
    },
    open: (options) => new VolumeSnapshotter(options, new ZfsPool(options.root)),
  },
  refused('aufs', () => 'aufs has left the kernel, and containerd with release 2.0: use overlayfs'),
  refused('windows', () => 'windows layers need Windows: use overlayfs'),
  refused('windowsfilter', () => 'windows layers need Windows: use overlayfs'),
];

function refused(name: string, refusal: () => string): SnapshotterDriver {
  return {
    name,
    refusal,
    open: () => {
      throw new Error(`${name} was opened in spite of its refusal`);
    },
  };
}

const OVERLAYFS_MAGIC = 0x794c7630;

function onOverlay(root: string): string | undefined {
  return statfsSync(existing(root)).type === OVERLAYFS_MAGIC
    ? `overlayfs cannot be used on ${root}, which is an overlay itself: use native or fuse-overlayfs, or another root`
    : undefined;
}

/** The nearest directory that is there. */
function existing(path: string): string {
  let at = path;
  while (!existsSync(at)) at = dirname(at);
  return at;
}

const hasFilesystem = (name: string): boolean =>
  readFileSync('/proc/filesystems', 'utf8')
    .split('\n')
    .some((line) => line.split('\t').at(-1) === name);

function isKernelAtLeast(major: number, minor: number): boolean {
  const [a = 0, b = 0] = release().split('.').map(Number);
  return a > major || (a === major && b >= minor);
}

function missing(program: string, packageName: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin'];
  const isThere = directories.some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false; // not in this directory
    }
  });
  return isThere ? undefined : `${program} is not installed (package ${packageName}): use overlayfs`;
}
