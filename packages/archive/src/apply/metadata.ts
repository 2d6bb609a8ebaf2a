/**
 * Owner, attributes, mode and times, in the order that keeps them: a change of owner clears set-id bits and capabilities,
 * and every later change of a directory spoils its times.
 */
import { chmodSync, closeSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import {
  chmodFd,
  chownAt,
  chownFd,
  O_PATH,
  openAt,
  setTimesAt,
  setTimesFd,
  setXattr,
  type Timestamp,
} from '@boxship/linux';
import { bytesOf, type TarEntry } from '../tar/entry.ts';
import { isAllowedXattr } from '../whiteout.ts';
import { procPath } from './remove-tree.ts';

const maxSeconds = 2 ** 53 - 1;

/** Times before 1970 and absurd ones are clamped, as the references do. */
export function clampTime(time: Timestamp): Timestamp {
  return time.seconds < 0 ? { seconds: 0, nanoseconds: 0 } : { ...time, seconds: Math.min(time.seconds, maxSeconds) };
}

/** Of an open file or directory; times of directories are set at the end by the caller. */
export function setMetadataFd(
  fd: number,
  entry: TarEntry,
  options: {
    readonly withTimes: boolean;
    /** It was made by its owner with its mode: two calls fewer for most files of most images. */
    readonly isMadeRight?: boolean;
  },
): void {
  if (options.isMadeRight !== true) chownFd(fd, entry.uid, entry.gid);
  for (const [name, value] of entry.xattrs) setXattrLeniently(fd, name, value);
  if (options.isMadeRight !== true) chmodFd(fd, entry.mode);
  const mtime = clampTime(entry.mtime);
  if (options.withTimes) setTimesFd(fd, mtime, mtime);
}

/** Of a link, device or FIFO just made. */
export function setMetadataAt(directoryFd: number, base: string, entry: TarEntry): void {
  const name = bytesOf(base);
  chownAt(directoryFd, name, entry.uid, entry.gid);
  for (const [key, value] of entry.xattrs) setXattrLeniently(procPath(directoryFd, base), key, value);
  if (entry.type !== 'symlink') {
    // By the object itself, so that nobody can slip a link in between.
    const fd = openAt(directoryFd, name, O_PATH);
    try {
      chmodSync(`/proc/self/fd/${fd}`, entry.mode);
    } finally {
      closeSync(fd);
    }
  }
  const mtime = clampTime(entry.mtime);
  setTimesAt(directoryFd, name, mtime, mtime);
}

function setXattrLeniently(subject: number | Buffer, name: string, value: Uint8Array): void {
  if (!isAllowedXattr(name)) return;
  try {
    setXattr(subject, name, value);
  } catch (error) {
    const code = BoxshipError.from(error).details['code'];
    // No attributes on this file system or on this kind of file: the reference drops them as well.
    if (code !== 'ENOTSUP' && code !== 'EOPNOTSUPP' && code !== 'EPERM') throw error;
  }
}
