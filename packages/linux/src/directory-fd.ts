/**
 * The calls that act on one name inside an open directory, none of which follows a link at that name. node:fs has only
 * whole paths, which a hostile tree can bend between two calls. All are synchronous: use them off the main thread when
 * there are many.
 */
import { constants } from 'node:fs';
import { endianness } from 'node:os';
import { check, declare } from './libc.ts';
import { O_CLOEXEC } from './open-in-root.ts';
import { cString, type Path } from './path-bytes.ts';

const c = {
  openat: declare('int openat(int dirfd, const uint8_t *path, int flags, uint32_t mode)'),
  mkdirat: declare('int mkdirat(int dirfd, const uint8_t *path, uint32_t mode)'),
  unlinkat: declare('int unlinkat(int dirfd, const uint8_t *path, int flags)'),
  linkat: declare('int linkat(int olddir, const uint8_t *oldpath, int newdir, const uint8_t *newpath, int flags)'),
  symlinkat: declare('int symlinkat(const uint8_t *target, int dirfd, const uint8_t *path)'),
  mknodat: declare('int mknodat(int dirfd, const uint8_t *path, uint32_t mode, uint64_t dev)'),
  fchownat: declare('int fchownat(int dirfd, const uint8_t *path, uint32_t uid, uint32_t gid, int flags)'),
  fchown: declare('int fchown(int fd, uint32_t uid, uint32_t gid)'),
  fchmodat: declare('int fchmodat(int dirfd, const uint8_t *path, uint32_t mode, int flags)'),
  fchmod: declare('int fchmod(int fd, uint32_t mode)'),
  utimensat: declare('int utimensat(int dirfd, const uint8_t *path, const uint8_t *times, int flags)'),
  futimens: declare('int futimens(int fd, const uint8_t *times)'),
};

const lowWord = endianness() === 'LE' ? 0 : 1;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;

/** Opens `name` with O_NOFOLLOW and O_CLOEXEC added. */
export function openAt(directoryFd: number, name: Path, flags: number, mode = 0): number {
  return check(c.openat(directoryFd, cString(name), flags | constants.O_NOFOLLOW | O_CLOEXEC, mode), 'openat', name);
}

export function mkdirAt(directoryFd: number, name: Path, mode: number): void {
  check(c.mkdirat(directoryFd, cString(name), mode), 'mkdirat', name);
}

export function unlinkAt(directoryFd: number, name: Path, options: { readonly isDirectory?: boolean } = {}): void {
  check(c.unlinkat(directoryFd, cString(name), options.isDirectory ? AT_REMOVEDIR : 0), 'unlinkat', name);
}

/** Links `oldName`, itself if it is a symbolic link, as `newName`. */
export function linkAt(oldFd: number, oldName: Path, newFd: number, newName: Path): void {
  check(c.linkat(oldFd, cString(oldName), newFd, cString(newName), 0), 'linkat', newName);
}

export function symlinkAt(target: Path, directoryFd: number, name: Path): void {
  check(c.symlinkat(cString(target), directoryFd, cString(name)), 'symlinkat', name);
}

/** Makes a device, FIFO or whiteout. @param mode type bits and permissions; the umask applies */
export function mknodAt(directoryFd: number, name: Path, mode: number, device: { major: number; minor: number }): void {
  check(c.mknodat(directoryFd, cString(name), mode, makeDevice(device.major, device.minor)), 'mknodat', name);
}

/** dev_t as glibc packs it: 12 + 20 bits of major, 8 + 24 bits of minor, interleaved. */
export function makeDevice(major: number, minor: number): bigint {
  const [x, y] = [BigInt(major), BigInt(minor)];
  return (y & 0xffn) | ((x & 0xfffn) << 8n) | ((y & ~0xffn) << 12n) | ((x & ~0xfffn) << 32n);
}

export function splitDevice(dev: bigint): { major: number; minor: number } {
  return {
    major: Number(((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n)),
    minor: Number((dev & 0xffn) | ((dev >> 12n) & 0xffffff00n)),
  };
}

export function chownAt(directoryFd: number, name: Path, uid: number, gid: number): void {
  check(c.fchownat(directoryFd, cString(name), uid, gid, AT_SYMLINK_NOFOLLOW), 'fchownat', name);
}

export function chownFd(fd: number, uid: number, gid: number): void {
  check(c.fchown(fd, uid, gid), 'fchown');
}

/** Follows a link at `name`, as the kernel offers nothing else before 6.6: only for names just made by the caller. */
export function chmodAt(directoryFd: number, name: Path, mode: number): void {
  check(c.fchmodat(directoryFd, cString(name), mode, 0), 'fchmodat', name);
}

export function chmodFd(fd: number, mode: number): void {
  check(c.fchmod(fd, mode), 'fchmod');
}

/** A point in time as the kernel keeps it. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

const times = Buffer.alloc(32); // struct timespec[2]
const words = new Int32Array(times.buffer, times.byteOffset, 8);

function timesBuffer(accessed: Timestamp, modified: Timestamp): Buffer {
  putTime(0, accessed);
  putTime(4, modified);
  return times;
}

/** Two words of 64 bits, without a bigint for each. */
function putTime(at: number, { seconds, nanoseconds }: Timestamp): void {
  words[at + lowWord] = seconds;
  words[at + 1 - lowWord] = Math.floor(seconds / 2 ** 32);
  words[at + 2 + lowWord] = nanoseconds;
  words[at + 3 - lowWord] = 0;
}

export function setTimesAt(directoryFd: number, name: Path, accessed: Timestamp, modified: Timestamp): void {
  const buffer = timesBuffer(accessed, modified);
  check(c.utimensat(directoryFd, cString(name), buffer, AT_SYMLINK_NOFOLLOW), 'utimensat', name);
}

export function setTimesFd(fd: number, accessed: Timestamp, modified: Timestamp): void {
  check(c.futimens(fd, timesBuffer(accessed, modified)), 'futimens');
}
