/** Directories that an archive uses without mentioning them. */
import { closeSync, constants, lstatSync } from 'node:fs';
import {
  chmodFd,
  chownFd,
  getXattr,
  listXattrs,
  mkdirAt,
  openAt,
  setXattr,
  type Timestamp,
  unlinkAt,
} from '@boxship/linux';
import { malformed } from '../limits.ts';
import { bytesOf, textOf } from '../tar/entry.ts';
import { isAllowedXattr, opaqueAttribute, opaqueValue } from '../whiteout.ts';
import { findLowerDirectory } from './lower-directories.ts';
import { isWhiteoutDevice, statAt } from './remove-tree.ts';
import type { ApplyTarget } from './target.ts';

/**
 * Makes one such directory: as the layers below have it, else 0755 and owned by root.
 * @returns the time to restore at the end, if it has one
 */
export function makeParent(target: ApplyTarget, parentFd: number, name: string, path: string): Timestamp | undefined {
  const stat = statAt(parentFd, name);
  const isWhiteout = target.kind === 'overlay' && stat !== undefined && isWhiteoutDevice(stat);
  if (stat !== undefined && !isWhiteout) throw malformed(`${textOf(path)}: not a directory`);
  const isUserXattr = target.kind === 'overlay' && target.isUserXattr === true;
  const original =
    target.kind === 'overlay' && !isWhiteout ? findLowerDirectory(target.lowers, path, isUserXattr) : undefined;
  if (isWhiteout) unlinkAt(parentFd, bytesOf(name));
  mkdirAt(parentFd, bytesOf(name), 0o755);
  const fd = openAt(parentFd, bytesOf(name), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    if (isWhiteout) setXattr(fd, opaqueAttribute(isUserXattr), opaqueValue);
    if (original === undefined) {
      chownFd(fd, 0, 0);
      chmodFd(fd, 0o755);
      return undefined;
    }
    chownFd(fd, original.stat.uid, original.stat.gid);
    for (const key of listXattrs(original.path)) {
      const value = isAllowedXattr(key) ? getXattr(original.path, key) : undefined;
      if (value !== undefined) setXattr(fd, key, value);
    }
    chmodFd(fd, original.stat.mode & 0o7777);
    const { mtimeNs } = lstatSync(original.path, { bigint: true });
    return { seconds: Number(mtimeNs / 1_000_000_000n), nanoseconds: Number(mtimeNs % 1_000_000_000n) };
  } finally {
    closeSync(fd);
  }
}
