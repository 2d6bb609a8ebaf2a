/**
 * Paths for the C library. Linux names are bytes without NUL, not text: archives and old volumes hold names that are no
 * UTF-8, and those must survive a round trip.
 */
import { BoxshipError } from '@boxship/base';

/** A string is taken as UTF-8; bytes are taken as they are. */
export type Path = string | Uint8Array;

/** The NUL-terminated form. @throws invalidArgument for a NUL inside: the kernel would see another path */
export function cString(path: Path): Uint8Array {
  const bytes = typeof path === 'string' ? Buffer.from(path) : path;
  const terminated = Buffer.allocUnsafe(bytes.length + 1);
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number;
    if (byte === 0) throw new BoxshipError('invalidArgument', 'path holds a NUL byte');
    terminated[at] = byte;
  }
  terminated[bytes.length] = 0;
  return terminated;
}

/** For messages. */
export const showPath = (path: Path): string => (typeof path === 'string' ? path : Buffer.from(path).toString('utf8'));
