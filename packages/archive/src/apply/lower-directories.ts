/**
 * What the layers below an overlay's upper directory hold at a path. Needed for directories that a layer uses without
 * mentioning them: their copy in the upper directory must look like the original.
 */
import { lstatSync, type Stats } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { getXattr } from '@boxship/linux';
import { bytesOf } from '../tar/entry.ts';
import { opaqueAttribute } from '../whiteout.ts';
import { isWhiteoutDevice } from './remove-tree.ts';
import { needsMountCode } from './target.ts';

export interface LowerDirectory {
  /** Bytes of its path. */
  readonly path: Buffer;
  readonly stat: Stats;
}

/**
 * The directory that an overlay of `lowers` shows at `path`; undefined when there is none.
 * @throws failedPrecondition with code ENEEDMOUNT when a link or something else stands in the way
 */
export function findLowerDirectory(
  lowers: readonly string[],
  path: string,
  isUserXattr: boolean,
): LowerDirectory | undefined {
  const parts = path.split('/');
  for (const lower of lowers) {
    let at: Buffer = Buffer.from(lower);
    let stat: Stats | undefined;
    let hidesBelow = false;
    for (const part of parts) {
      at = Buffer.concat([at, slash, bytesOf(part)]);
      stat = lstatSync(at, { throwIfNoEntry: false });
      if (stat === undefined) break;
      if (isWhiteoutDevice(stat)) return undefined;
      if (!stat.isDirectory())
        throw new BoxshipError('failedPrecondition', `archive: ${at} of a lower layer is no directory`, {
          details: { code: needsMountCode },
        });
      hidesBelow ||= getXattr(at, opaqueAttribute(isUserXattr))?.toString('latin1') === 'y';
    }
    if (stat !== undefined) return { path: at, stat };
    if (hidesBelow) return undefined;
  }
  return undefined;
}

const slash = Buffer.from('/');
