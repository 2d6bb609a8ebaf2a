/** `docker cp` in both directions, and `docker export`. */
import { applyArchive, pack, statInRoot } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import type { Parts } from '../parts.ts';
import { type Container, eventAttributes } from './model.ts';
import { type ContainerRoot, openRoot } from './root-access.ts';
import { readAccountFiles } from './rootfs-files.ts';
import { resolveUser } from './spec/user.ts';

/** `X-Docker-Container-Path-Stat`; mode is Go's FileMode. */
export interface ArchiveStat {
  readonly name: string;
  readonly size: number;
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

const S_IFMT = 0o170000;
const goTypeBits: Readonly<Record<number, number>> = {
  [0o040000]: 2 ** 31, // directory
  [0o120000]: 2 ** 27, // symlink
  [0o060000]: 2 ** 26, // block device
  [0o020000]: 2 ** 26 + 2 ** 21, // character device
  [0o010000]: 2 ** 25, // FIFO
  [0o140000]: 2 ** 24, // socket
};

/** Go's FileMode for a kernel mode. */
export function goFileMode(mode: number): number {
  const special = (mode & 0o4000 ? 2 ** 23 : 0) + (mode & 0o2000 ? 2 ** 22 : 0) + (mode & 0o1000 ? 2 ** 20 : 0);
  return (mode & 0o777) + special + (goTypeBits[mode & S_IFMT] ?? 0);
}

function stat(root: ContainerRoot, shown: string, path: string): ArchiveStat {
  try {
    const found = statInRoot(root.path, path);
    return {
      name: found.name,
      size: found.sizeBytes,
      mode: goFileMode(found.mode),
      mtime: found.mtime.toISOString().replace(/\.?0*Z$/, 'Z'),
      linkTarget: found.linkTarget,
    };
  } catch (error) {
    if (!BoxshipError.is(error, 'notFound')) throw error;
    throw new BoxshipError('notFound', `Could not find the file ${path} in container ${shown}`, { cause: error });
  }
}

/** @throws notFound */
export async function statArchive(
  parts: Parts,
  container: Container,
  shown: string,
  path: string,
): Promise<ArchiveStat> {
  await using root = await openRoot(parts, container);
  return stat(root, shown, path);
}

/** The archive of a path; `path/.` means what is in it. The root stays open until the chunks are read. */
export async function* readArchive(
  parts: Parts,
  container: Container,
  shown: string,
  path: string,
  onStat: (stat: ArchiveStat) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  await using root = await openRoot(parts, container);
  onStat(stat(root, shown, path));
  parts.events.publish('container', 'archive-path', container.id, eventAttributes(container.record));
  const as = path.endsWith('/.') || path === '/' ? { as: '.' } : {};
  yield* pack({ kind: 'tree', root: root.path, path, ...as }, { signal }).chunks;
}

export interface WriteArchiveOptions {
  /** Refuse to put a file in a directory's place and the reverse. */
  readonly keepDirectories: boolean;
  /** Give everything to the container's user. */
  readonly isOwnedByUser: boolean;
}

/** @throws notFound, invalidArgument (no directory), permissionDenied (read-only) */
export async function writeArchive(
  parts: Parts,
  container: Container,
  shown: string,
  path: string,
  source: AsyncIterable<Uint8Array>,
  options: WriteArchiveOptions,
): Promise<void> {
  const { record } = container;
  await using root = await openRoot(parts, container);
  const target = stat(root, shown, path);
  const isDirectory =
    target.linkTarget === '' ? target.mode >= 2 ** 31 : stat(root, shown, target.linkTarget).mode >= 2 ** 31;
  if (!isDirectory) throw new BoxshipError('invalidArgument', 'extraction point is not a directory');
  checkWritable(container, target.linkTarget === '' ? path : target.linkTarget);
  const owner =
    options.isOwnedByUser && record.config.User !== ''
      ? resolveUser(record.config.User, [], readAccountFiles(record.rootMounts))
      : undefined;
  await applyArchive(
    source,
    { kind: 'tree', root: root.path, path },
    {
      whiteouts: 'literal',
      keepDirectories: options.keepDirectories,
      ...(owner === undefined ? {} : { owner: { uid: owner.uid, gid: owner.gid } }),
    },
  );
  parts.events.publish('container', 'extract-to-dir', container.id, eventAttributes(record));
}

function checkWritable(container: Container, path: string): void {
  const { mounts, hostConfig } = container.record;
  const clean = path.startsWith('/') ? path : `/${path}`;
  const over = mounts
    .filter(({ destination }) => clean === destination || clean.startsWith(`${destination}/`))
    .sort((a, b) => b.destination.length - a.destination.length)[0];
  if (over !== undefined ? !over.isReadWrite : hostConfig.ReadonlyRootfs)
    throw new BoxshipError(
      'permissionDenied',
      over === undefined ? 'container rootfs is marked read-only' : 'mounted volume is marked read-only',
    );
}

const kernelMounts = ['proc', 'sys', 'dev'];

/** The whole root file system without volumes. */
export async function* exportContainer(
  parts: Parts,
  container: Container,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  await using root = await openRoot(parts, container);
  const volumes = container.record.mounts.map(({ destination }) => destination.slice(1));
  const exclude = [...volumes, ...(root.isLive ? kernelMounts : [])];
  parts.events.publish('container', 'export', container.id, eventAttributes(container.record));
  yield* pack({ kind: 'tree', root: root.path, as: '.', options: { exclude } }, { signal }).chunks;
}
