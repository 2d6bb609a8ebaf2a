/** Looking at and removing names below an open directory, without following links. */
import { closeSync, constants, lstatSync, readdirSync, type Stats } from 'node:fs';
import { openAt, unlinkAt } from '@boxship/linux';
import { bytesOf } from '../tar/entry.ts';

/** A path that the kernel resolves through the descriptor, for the calls that node:fs offers on paths only. */
export const procPath = (directoryFd: number, name: string): Buffer => bytesOf(`/proc/self/fd/${directoryFd}/${name}`);

/** What `name` is; undefined when there is none. */
export function statAt(directoryFd: number, name: string): Stats | undefined {
  return lstatSync(procPath(directoryFd, name), { throwIfNoEntry: false });
}

export function listAt(directoryFd: number): string[] {
  return readdirSync(`/proc/self/fd/${directoryFd}`, { encoding: 'latin1' });
}

/** Removes a name and everything below it. */
export function removeAt(directoryFd: number, name: string, stat = statAt(directoryFd, name)): void {
  if (stat === undefined) return;
  if (!stat.isDirectory()) {
    unlinkAt(directoryFd, bytesOf(name));
    return;
  }
  const fd = openAt(directoryFd, bytesOf(name), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    for (const child of listAt(fd)) removeAt(fd, child);
  } finally {
    closeSync(fd);
  }
  unlinkAt(directoryFd, bytesOf(name), { isDirectory: true });
}

/** A whiteout of an overlay directory. */
export const isWhiteoutDevice = (stat: Stats): boolean => stat.isCharacterDevice() && stat.rdev === 0;
