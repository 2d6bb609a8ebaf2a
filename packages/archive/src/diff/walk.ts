/** Walking trees by open directories, in the order in which archives list them: sorted by bytes. */
import { closeSync, constants, type Stats } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { openAt } from '@boxship/linux';
import { listAt, statAt } from '../apply/remove-tree.ts';
import { joinName } from '../names.ts';
import { bytesOf } from '../tar/entry.ts';
import type { Emitter, Pieces } from './emit.ts';

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY;
const byBytes = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

export interface Child {
  readonly name: string;
  readonly stat: Stats;
}

/** The names in a directory with what they are, sorted; what vanishes meanwhile is left out. */
export function children(directoryFd: number): Child[] {
  const found: Child[] = [];
  for (const name of listAt(directoryFd).sort(byBytes)) {
    const stat = statAt(directoryFd, name);
    if (stat !== undefined) found.push({ name, stat });
  }
  return found;
}

/** Runs `work` with the directory `name` open; nothing when it has vanished or been replaced. */
export function* inDirectory(directoryFd: number, name: string, work: (fd: number) => Pieces): Pieces {
  let fd: number;
  try {
    fd = openAt(directoryFd, bytesOf(name), openDirectory);
  } catch (error) {
    const code = BoxshipError.from(error).details['code'];
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return;
    throw error;
  }
  try {
    yield* work(fd);
  } finally {
    closeSync(fd);
  }
}

/** A name and everything below it. */
export function* emitTree(
  emitter: Emitter,
  directoryFd: number,
  child: Child,
  path: string,
  excluded: ReadonlySet<string>,
): Pieces {
  if (excluded.has(path)) return;
  yield* emitter.member(directoryFd, child.name, path, child.stat);
  if (child.stat.isDirectory())
    yield* inDirectory(directoryFd, child.name, (fd) => emitChildren(emitter, fd, path, excluded));
}

export function* emitChildren(emitter: Emitter, fd: number, path: string, excluded: ReadonlySet<string>): Pieces {
  for (const child of children(fd)) yield* emitTree(emitter, fd, child, joinName(path, child.name), excluded);
}
