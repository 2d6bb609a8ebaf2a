/**
 * Whether a name stands for the same in two trees. The same inode is; otherwise metadata decides, and bytes are compared
 * only where the times are too coarse to tell (archives keep whole seconds).
 */
import { closeSync, constants, lstatSync, readlinkSync, readSync, type Stats } from 'node:fs';
import { getXattr, openAt } from '@boxship/linux';
import { procPath } from '../apply/remove-tree.ts';
import { bytesOf } from '../tar/entry.ts';

export function isSameFile(lowerFd: number, upperFd: number, name: string, lower: Stats, upper: Stats): boolean {
  if (lower.dev === upper.dev && lower.ino === upper.ino) return true;
  if (lower.mode !== upper.mode || lower.uid !== upper.uid || lower.gid !== upper.gid || lower.rdev !== upper.rdev)
    return false;
  const [below, above] = [procPath(lowerFd, name), procPath(upperFd, name)];
  const capability = (path: Buffer): string | undefined => getXattr(path, 'security.capability')?.toString('hex');
  if (capability(below) !== capability(above)) return false;
  if (lower.isSymbolicLink())
    return readlinkSync(below, { encoding: 'latin1' }) === readlinkSync(above, { encoding: 'latin1' });
  if (!lower.isDirectory() && lower.size !== upper.size) return false;
  const [before, after] = [lstatSync(below, { bigint: true }).mtimeNs, lstatSync(above, { bigint: true }).mtimeNs];
  const isCoarse = before % second === 0n || after % second === 0n;
  if (before / second !== after / second || (!isCoarse && before !== after)) return false;
  return lower.isFile() && isCoarse ? hasSameBytes(lowerFd, upperFd, name) : true;
}

const second = 1_000_000_000n;
const pieceBytes = 128 * 1024;

function hasSameBytes(lowerFd: number, upperFd: number, name: string): boolean {
  const a = openAt(lowerFd, bytesOf(name), constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const b = openAt(upperFd, bytesOf(name), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const [left, right] = [Buffer.alloc(pieceBytes), Buffer.alloc(pieceBytes)];
      for (;;) {
        const [x, y] = [readSync(a, left, 0, pieceBytes, null), readSync(b, right, 0, pieceBytes, null)];
        if (x !== y || left.compare(right, 0, y, 0, x) !== 0) return false;
        if (x === 0) return true;
      }
    } finally {
      closeSync(b);
    }
  } finally {
    closeSync(a);
  }
}
