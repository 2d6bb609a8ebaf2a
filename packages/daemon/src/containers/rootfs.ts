/**
 * The writable root file system of a container: a snapshot over the image, with one thin layer between that holds the mount
 * points and `.dockerenv`. That layer is made once per image and lives as long as it: the image's configuration refers to it.
 */
import {
  chmodSync,
  closeSync,
  constants,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { BoxshipError, randomId } from '@boxship/base';
import { mount, openInRoot, unmount } from '@boxship/linux';
import type { EngineImage } from '../images/image-index.ts';
import { unpackAgain } from '../images/unpack-again.ts';
import type { Parts } from '../parts.ts';
import type { RootMount } from './model.ts';

/** Marks the engine's snapshots; the value is the container's id. */
export const snapshotLabel = 'io.boxship.container';
const gcRoot = 'containerd.io/gc.root';
const attempts = 3;

/** Prepares the container's snapshot and tells the mounts that make it up. */
export async function prepareRootfs(parts: Parts, id: string, image: EngineImage): Promise<readonly RootMount[]> {
  const { snapshotter } = parts.config;
  for (let attempt = 1; ; attempt++) {
    const parent = initLayerName(image);
    try {
      const { mounts } = await parts.containerd.snapshots.prepare({
        snapshotter,
        key: id,
        parent,
        labels: { [snapshotLabel]: id, [gcRoot]: new Date().toISOString() },
      });
      return mounts;
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound') || attempt === attempts) throw error;
      await makeInitLayer(parts, image, parent);
    }
  }
}

/** The thin layer between an image and its containers. */
export const initLayerName = (image: EngineImage): string =>
  `boxship-init-${image.chainId === '' ? 'empty' : image.chainId}`;

const stubs = [
  ['dev/pts', 'directory'],
  ['dev/shm', 'directory'],
  ['proc', 'directory'],
  ['sys', 'directory'],
  ['.dockerenv', 'file'],
  ['etc/resolv.conf', 'file'],
  ['etc/hosts', 'file'],
  ['etc/hostname', 'file'],
  ['dev/console', 'file'],
  ['etc/mtab', 'link'],
] as const;
const mtabTarget = '/proc/mounts';

async function makeInitLayer(parts: Parts, image: EngineImage, name: string): Promise<void> {
  const { snapshotter } = parts.config;
  const { snapshots } = parts.containerd;
  const key = `${name}-${randomId().slice(0, 12)}`;
  const labels = { [gcRoot]: new Date().toISOString() };
  const prepare = () => snapshots.prepare({ snapshotter, key, parent: image.chainId, labels });
  const { mounts } = await prepare().catch(async (error: unknown) => {
    if (!BoxshipError.is(error, 'notFound')) throw error;
    await unpackAgain(parts, image);
    return await prepare();
  });
  try {
    withMounted(parts, mounts, writeStubs);
    await snapshots.commit({ snapshotter, name, key }).catch((error: unknown) => {
      if (!BoxshipError.is(error, 'alreadyExists')) throw error; // another create was faster
    });
  } catch (error) {
    await snapshots.remove({ snapshotter, key });
    throw error;
  }
  const label = `containerd.io/gc.ref.snapshot.${snapshotter}/init`;
  await parts.containerd.content.update({
    info: { digest: image.id, size: 0n, createdAt: undefined, updatedAt: undefined, labels: { [label]: name } },
    updateMask: [`labels.${label}`],
  });
}

/** Runs `work` on the mounted file system; synchronous, so that no other work of the daemon sees it half mounted. */
function withMounted(parts: Parts, mounts: readonly RootMount[], work: (root: string) => void): void {
  const target = mountTemporarily(parts, mounts);
  try {
    work(target);
  } finally {
    unmountTemporary(target);
  }
}

export function mountTemporarily(parts: Parts, mounts: readonly RootMount[]): string {
  const base = join(parts.config.execRoot, 'mounts');
  mkdirSync(base, { recursive: true, mode: 0o700 });
  const target = mkdtempSync(join(base, 'm-'));
  for (const spec of mounts) mount({ type: spec.type, source: spec.source, target, options: spec.options });
  return target;
}

export function unmountTemporary(target: string): void {
  unmount(target, { isLazy: true });
  rmdirSync(target);
}

/** Mount points that the image lacks. Whatever is there already stays; no link is followed out of the root. */
function writeStubs(root: string): void {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const [path, kind] of stubs) {
      const parent = dirname(path);
      if (parent !== '.') makeIn(rootFd, parent, 'directory');
      makeIn(rootFd, path, kind);
    }
  } finally {
    closeSync(rootFd);
  }
}

function makeIn(rootFd: number, path: string, kind: 'directory' | 'file' | 'link'): void {
  const parent = dirname(path) === '.' ? '/' : dirname(path);
  let parentFd: number;
  try {
    parentFd = openInRoot(rootFd, parent, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    if (BoxshipError.is(error) && error.details['code'] === 'ENOTDIR') return; // an image without that directory: the runtime decides
    throw error;
  }
  try {
    const name = `/proc/self/fd/${parentFd}/${path.slice(path.lastIndexOf('/') + 1)}`;
    if (lstatSync(name, { throwIfNoEntry: false }) !== undefined) return;
    if (kind === 'link') {
      symlinkSync(mtabTarget, name);
      return;
    }
    if (kind === 'directory') mkdirSync(name, 0o755);
    else closeSync(openSync(name, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o755));
    chmodSync(name, 0o755); // whatever the umask
  } finally {
    closeSync(parentFd);
  }
}
