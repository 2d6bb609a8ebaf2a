/** The changes from one tree to another, found by walking both side by side. */
import type { Stats } from 'node:fs';
import { joinName } from '../names.ts';
import type { Emitter, Pieces } from './emit.ts';
import { whiteout } from './overlay-changes.ts';
import { isSameFile } from './same-file.ts';
import { type Child, children, emitTree, inDirectory } from './walk.ts';

/** Directories on the way to the current place that are not written yet: they are, as soon as something below changes. */
interface Pending {
  readonly directoryFd: number;
  readonly child: Child;
  readonly path: string;
  isWritten: boolean;
}

export interface TreeWalk {
  readonly emitter: Emitter;
  readonly excluded: ReadonlySet<string>;
}

export function* treeChanges(
  walk: TreeWalk,
  lowerFd: number,
  upperFd: number,
  path: string,
  pending: readonly Pending[] = [],
): Pieces {
  const lower = new Map(children(lowerFd).map((child) => [child.name, child.stat]));
  const upper = new Map(children(upperFd).map((child) => [child.name, child]));
  const names = [...new Set([...lower.keys(), ...upper.keys()])].sort();
  for (const name of names) {
    const childPath = joinName(path, name);
    if (walk.excluded.has(childPath)) continue;
    const before = lower.get(name);
    const after = upper.get(name);
    if (after === undefined) {
      yield* parents(walk, pending);
      yield walk.emitter.plain(whiteout(path, name, before as Stats));
    } else if (before === undefined || before.isDirectory() !== after.stat.isDirectory()) {
      yield* parents(walk, pending);
      yield* emitTree(walk.emitter, upperFd, after, childPath, walk.excluded);
    } else if (!after.stat.isDirectory()) {
      if (isSameFile(lowerFd, upperFd, name, before, after.stat)) continue;
      yield* parents(walk, pending);
      yield* walk.emitter.member(upperFd, name, childPath, after.stat);
    } else {
      const own: Pending = { directoryFd: upperFd, child: after, path: childPath, isWritten: false };
      const chain = [...pending, own];
      if (!isSameFile(lowerFd, upperFd, name, before, after.stat)) yield* parents(walk, chain);
      yield* inDirectory(lowerFd, name, (lowerChild) =>
        inDirectory(upperFd, name, (upperChild) => treeChanges(walk, lowerChild, upperChild, childPath, chain)),
      );
    }
  }
}

function* parents(walk: TreeWalk, chain: readonly Pending[]): Pieces {
  for (const directory of chain) {
    if (directory.isWritten) continue;
    directory.isWritten = true;
    yield* walk.emitter.member(directory.directoryFd, directory.child.name, directory.path, directory.child.stat);
  }
}
