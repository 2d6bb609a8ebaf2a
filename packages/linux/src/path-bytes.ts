/**
 * Paths for the C library. Linux names are bytes without NUL, not text: archives and old volumes hold names that are no
 * UTF-8, and those must survive a round trip.
 */
import { BoxshipError } from '@boxship/base';

/** A string is taken as UTF-8; bytes are taken as they are. */
export type Path = string | Uint8Array;

/** The NUL-terminated form. @throws invalidArgument for a NUL inside: the kernel would see another path */
export function cString(path: Path): Uint8Array {
  const bytes = typeof path === 'string' ? Buffer.from(`${path}\0`) : terminated(path);
  if (bytes.indexOf(0) !== bytes.length - 1) throw new BoxshipError('invalidArgument', 'path holds a NUL byte');
  return bytes;
}

function terminated(path: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(path.length + 1);
  bytes.set(path);
  bytes[path.length] = 0;
  return bytes;
}

/** For messages. */
export const showPath = (path: Path): string => (typeof path === 'string' ? path : Buffer.from(path).toString('utf8'));
