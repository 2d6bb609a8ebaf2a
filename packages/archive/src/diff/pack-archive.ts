/** The bytes of the archive that a {@link PackRequest} describes, piece by piece. A piece is valid until the next one. */
import { closeSync, constants, openSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { openInRoot } from '@boxship/linux';
import { statAt } from '../apply/remove-tree.ts';
import { defaultLimits } from '../limits.ts';
import { baseOf, cleanName, joinName, parentOf } from '../names.ts';
import { bytesOf, nameOf } from '../tar/entry.ts';
import { tarEnd } from '../tar/writer.ts';
import { Emitter, type Pieces } from './emit.ts';
import { overlayChanges } from './overlay-changes.ts';
import type { PackRequest } from './request.ts';
import { treeChanges } from './tree-changes.ts';
import { emitChildren, emitTree } from './walk.ts';

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY;

export function* packArchive(request: PackRequest, count: { entries: number }): Pieces {
  const emitter = new Emitter(request.options ?? {}, count);
  const excluded = new Set((request.options?.exclude ?? []).map((path) => cleanName(nameOf(path), defaultLimits)));
  if (request.kind === 'tree') {
    yield* inRoot(request.root, (fd) => packPath(emitter, fd, request.path ?? '', request.as, excluded));
  } else if (request.kind === 'overlay') {
    const walk = { emitter, excluded, isUserXattr: request.isUserXattr ?? false };
    yield* inRoot(request.upper, (fd) => overlayChanges(walk, fd, ''));
  } else {
    const { lower, upper } = request;
    if (lower === undefined) yield* inRoot(upper, (fd) => emitChildren(emitter, fd, '', excluded));
    else
      yield* inRoot(lower, (lowerFd) =>
        inRoot(upper, (upperFd) => treeChanges({ emitter, excluded }, lowerFd, upperFd, '')),
      );
  }
  yield tarEnd;
}

function* inRoot(path: string, work: (fd: number) => Pieces): Pieces {
  const fd = openSync(path, openDirectory);
  try {
    yield* work(fd);
  } finally {
    closeSync(fd);
  }
}

function* packPath(
  emitter: Emitter,
  rootFd: number,
  path: string,
  as: string | undefined,
  excluded: ReadonlySet<string>,
): Pieces {
  const clean = cleanName(nameOf(path), defaultLimits);
  if (clean === '') {
    const stat = statAt(rootFd, '.');
    if (as !== undefined && stat !== undefined) yield* emitter.member(rootFd, '.', nameOf(as), stat);
    return yield* emitChildren(emitter, rootFd, as === undefined ? '' : nameOf(as), excluded);
  }
  const parentFd = openInRoot(rootFd, bytesOf(parentOf(clean) || '.'), openDirectory);
  try {
    const name = baseOf(clean);
    const stat = statAt(parentFd, name);
    if (stat === undefined) throw new BoxshipError('notFound', `${path}: no such file or directory`);
    yield* emitTree(emitter, parentFd, { name, stat }, joinName('', as === undefined ? name : nameOf(as)), excluded);
  } finally {
    closeSync(parentFd);
  }
}
