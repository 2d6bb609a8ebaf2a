/**
 * openat2(2): opening a path below a directory so that no symbolic link, `..` or magic link leads out of it, whatever
 * somebody else does to the tree meanwhile. The number is the same on all architectures.
 */
import { check, declare } from './libc.ts';
import { cString, type Path } from './path-bytes.ts';

const openat2 = declare('long syscall(long number, int dirfd, const uint8_t *path, const uint8_t *how, size_t size)');
const openat2Number = 437;

/** Values of `resolve`, from linux/openat2.h. */
export const resolveFlags = {
  noCrossDevice: 0x01,
  noMagicLinks: 0x02,
  noSymlinks: 0x04,
  beneath: 0x08,
  inRoot: 0x10,
} as const;

/** open(2) flags that node:fs does not name, the same on all architectures that Node.js runs on but O_DIRECTORY and O_NOFOLLOW. */
export const O_PATH = 0o10000000;
export const O_CLOEXEC = 0o2000000;

const how = Buffer.alloc(24); // struct open_how { u64 flags, mode, resolve }

/**
 * Opens `path` with `directoryFd` as its root: absolute links and `..` stay inside.
 * @param flags as of open(2); O_CLOEXEC is added
 * @throws by errno: notFound (ENOENT); details.code ELOOP, ENOTDIR, EXDEV …
 */
export function openInRoot(
  directoryFd: number,
  path: Path,
  flags: number,
  options: { readonly mode?: number; readonly resolve?: number } = {},
): number {
  how.writeBigUInt64LE(BigInt(flags | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(options.mode ?? 0), 8);
  how.writeBigUInt64LE(BigInt(options.resolve ?? resolveFlags.inRoot | resolveFlags.noMagicLinks), 16);
  return check(openat2(openat2Number, directoryFd, cString(path), how, how.length), 'openat2', path);
}
