/** The changes that an overlay's upper directory records, without looking at the layers below. */
import type { Stats } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { getXattr } from '@boxship/linux';
import { isWhiteoutDevice, procPath } from '../apply/remove-tree.ts';
import { needsMountCode } from '../apply/target.ts';
import { joinName } from '../names.ts';
import { newEntry } from '../tar/entry.ts';
import { opaqueAttribute, opaqueMarker, whiteoutPrefix } from '../whiteout.ts';
import type { Emitter, Pieces } from './emit.ts';
import { children, inDirectory } from './walk.ts';

export interface OverlayWalk {
  readonly emitter: Emitter;
  readonly isUserXattr: boolean;
  readonly excluded: ReadonlySet<string>;
}

export function* overlayChanges(walk: OverlayWalk, fd: number, path: string): Pieces {
  for (const { name, stat } of children(fd)) {
    const childPath = joinName(path, name);
    if (walk.excluded.has(childPath)) continue;
    if (isWhiteoutDevice(stat)) {
      yield walk.emitter.plain(whiteout(path, name, stat));
      continue;
    }
    const own = procPath(fd, name);
    const prefix = walk.isUserXattr ? 'user.overlay' : 'trusted.overlay';
    if (stat.isDirectory() ? getXattr(own, `${prefix}.redirect`) : stat.isFile() && getXattr(own, `${prefix}.metacopy`))
      throw new BoxshipError('failedPrecondition', 'archive: overlay with redirects or metadata copies', {
        details: { code: needsMountCode },
      });
    yield* walk.emitter.member(fd, name, childPath, stat);
    if (!stat.isDirectory()) continue;
    if (getXattr(own, opaqueAttribute(walk.isUserXattr))?.toString('latin1') === 'y')
      yield walk.emitter.plain(newEntry({ name: joinName(childPath, opaqueMarker), type: 'file', mode: 0o600 }));
    yield* inDirectory(fd, name, (childFd) => overlayChanges(walk, childFd, childPath));
  }
}

export function whiteout(directory: string, name: string, stat: Stats): ReturnType<typeof newEntry> {
  const seconds = Math.floor(stat.mtimeMs / 1000);
  return newEntry({
    name: joinName(directory, whiteoutPrefix + name),
    type: 'file',
    mode: 0,
    mtime: { seconds, nanoseconds: 0 },
  });
}
