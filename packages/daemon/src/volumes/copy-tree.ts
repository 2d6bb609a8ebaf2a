/**
 * Fills an empty volume with what the image has at the mount point: ownership, modes, times, links, devices and extended
 * attributes kept. The source is walked by descriptor inside the container's root, so that a link in the image cannot lead
 * to the host.
 */
import { closeSync, constants, fstatSync, openSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { BoxshipError } from '@boxship/base';
import {
  chmodFd,
  chownAt,
  chownFd,
  getXattr,
  listXattrs,
  mkdirAt,
  mknodAt,
  O_PATH,
  openAt,
  openInRoot,
  setTimesAt,
  setXattr,
  splitDevice,
  symlinkAt,
} from '@boxship/linux';

const chunkBytes = 256 * 1024;

/** Copies the contents of directory `path` inside `root` into the directory `target`. Nothing happens if it is none. */
export async function copyTree(root: string, path: string, target: string): Promise<void> {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    let from: number;
    try {
      from = openInRoot(rootFd, path, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (error) {
      const code = BoxshipError.is(error) ? error.details['code'] : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return; // the image has nothing there
      throw error;
    }
    const to = openSync(target, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      await copyDirectory(from, to);
    } finally {
      closeSync(from);
      closeSync(to);
    }
  } finally {
    closeSync(rootFd);
  }
}

async function copyDirectory(from: number, to: number): Promise<void> {
  for (const name of readdirSync(`/proc/self/fd/${from}`)) await copyEntry(from, to, name);
  const stat = fstatSync(from);
  chownFd(to, stat.uid, stat.gid);
  chmodFd(to, stat.mode & 0o7777);
  copyXattrs(from, to);
}

async function copyEntry(from: number, to: number, name: string): Promise<void> {
  const handle = openAt(from, name, O_PATH | constants.O_NOFOLLOW);
  try {
    const stat = fstatSync(handle);
    if (stat.isDirectory()) await copySubdirectory(from, to, name);
    else if (stat.isSymbolicLink()) {
      symlinkAt(readlinkSync(`/proc/self/fd/${from}/${name}`), to, name);
      chownAt(to, name, stat.uid, stat.gid);
    } else if (stat.isFile()) await copyFile(from, to, name, stat);
    else {
      mknodAt(to, name, stat.mode, splitDevice(BigInt(stat.rdev)));
      chownAt(to, name, stat.uid, stat.gid);
    }
    setTimesAt(to, name, timeOf(stat.atimeMs), timeOf(stat.mtimeMs));
  } finally {
    closeSync(handle);
  }
}

async function copySubdirectory(from: number, to: number, name: string): Promise<void> {
  mkdirAt(to, name, 0o700);
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
  const source = openAt(from, name, flags);
  const target = openAt(to, name, flags);
  try {
    await copyDirectory(source, target);
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

async function copyFile(from: number, to: number, name: string, stat: Stats): Promise<void> {
  await using source = await open(`/proc/self/fd/${from}/${name}`, constants.O_RDONLY | constants.O_NOFOLLOW);
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  await using target = await open(`/proc/self/fd/${to}/${name}`, flags, 0o600);
  const buffer = Buffer.allocUnsafe(chunkBytes);
  for (;;) {
    const { bytesRead } = await source.read(buffer, 0, chunkBytes, null);
    if (bytesRead === 0) break;
    await target.writeFile(buffer.subarray(0, bytesRead));
  }
  chownFd(target.fd, stat.uid, stat.gid);
  chmodFd(target.fd, stat.mode & 0o7777); // after chown, which clears set-id bits
  copyXattrs(source.fd, target.fd);
}

function copyXattrs(from: number, to: number): void {
  for (const name of listXattrs(from)) {
    if (name.startsWith('trusted.overlay.')) continue; // the layer's own book-keeping
    const value = getXattr(from, name);
    if (value !== undefined) setXattr(to, name, value);
  }
}

function timeOf(ms: number) {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanoseconds: Math.floor((ms - seconds * 1000) * 1e6) };
}
