/** What a path inside a root is, as a process in that root would see it: for `docker cp` and its stat. */
import { closeSync, constants, lstatSync, openSync, readlinkSync, realpathSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { O_PATH, openInRoot } from '@boxship/linux';
import { procPath } from '../apply/remove-tree.ts';
import { defaultLimits } from '../limits.ts';
import { baseOf, cleanName, parentOf } from '../names.ts';
import { bytesOf, nameOf } from '../tar/entry.ts';

export interface PathStat {
  /** The last component; `/` for the root. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Type and permission bits of st_mode. */
  readonly mode: number;
  readonly mtime: Date;
  /** Of a symbolic link: where it leads in the end, inside the root; '' otherwise. */
  readonly linkTarget: string;
}

/** Links on the way are resolved inside the root, one at the end is not followed. @throws notFound, invalidArgument */
export function statInRoot(root: string, path: string): PathStat {
  const clean = cleanName(nameOf(path), defaultLimits);
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const parentFd = openInRoot(rootFd, bytesOf(parentOf(clean) || '.'), constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const name = baseOf(clean) || '.';
      const stat = lstatSync(procPath(parentFd, name), { throwIfNoEntry: false });
      if (stat === undefined) throw new BoxshipError('notFound', `lstat ${path}: no such file or directory`);
      return {
        name: name === '.' ? '/' : Buffer.from(name, 'latin1').toString('utf8'),
        sizeBytes: stat.size,
        mode: stat.mode,
        mtime: stat.mtime,
        linkTarget: stat.isSymbolicLink()
          ? endOfLink(rootFd, clean, readlinkSync(procPath(parentFd, name), 'utf8'))
          : '',
      };
    } finally {
      closeSync(parentFd);
    }
  } finally {
    closeSync(rootFd);
  }
}

/** Where a link leads; a dangling one gives its own text. */
function endOfLink(rootFd: number, path: string, text: string): string {
  let fd: number;
  try {
    fd = openInRoot(rootFd, bytesOf(path), O_PATH);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return text;
    throw error;
  }
  try {
    const base = realpathSync(`/proc/self/fd/${rootFd}`);
    const found = readlinkSync(`/proc/self/fd/${fd}`, 'utf8');
    return found === base ? '/' : base === '/' ? found : found.slice(base.length);
  } finally {
    closeSync(fd);
  }
}
