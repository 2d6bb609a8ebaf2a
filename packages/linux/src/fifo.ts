/**
 * Named pipes. Opened read-write they never block, never end and never raise SIGPIPE (fifo(7)): the writer outlives any
 * reader, and a successor opens the same name and reads on.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { check, declare, errnoName, lastErrno, systemError } from './libc.ts';

const mkfifo = declare('int mkfifo(const char *path, uint32_t mode)');
const fcntl = declare('int fcntl(int fd, int command, int argument)');
const F_SETPIPE_SZ = 1031;
const F_GETFL = 3;
const F_SETFL = 4;
// fs.constants has no O_CLOEXEC: libuv sets it on every descriptor it opens
const access = { read: constants.O_RDONLY, write: constants.O_WRONLY, 'read-write': constants.O_RDWR } as const;

/** Makes the FIFO; one that exists is taken as it is. */
export function makeFifo(path: string, mode = 0o600): void {
  if (mkfifo(path, mode) >= 0) return;
  const errno = lastErrno();
  if (errnoName(errno) !== 'EEXIST') throw systemError('mkfifo', errno, path);
}

export interface OpenFifoOptions {
  readonly access: keyof typeof access;
  /** false: for a descriptor that another program inherits; programs do not expect EAGAIN on their stdio. */
  readonly isNonBlocking?: boolean;
}

/**
 * Opens a FIFO by name; symlinks and anything else than a FIFO are refused, so that a planted name leads nowhere.
 * Write access without a reader fails with `ENXIO` (non-blocking), so open read-write or the reader first.
 */
export function openFifo(path: string, options: OpenFifoOptions): number {
  const flags = access[options.access] | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const fd = openSync(path, flags);
  if (!fstatSync(fd).isFIFO()) {
    closeSync(fd);
    throw new BoxshipError('invalidArgument', `${path} is not a FIFO`);
  }
  return options.isNonBlocking === false ? forInheritance(fd, access[options.access]) : fd;
}

/** Opened anew without O_NOFOLLOW, which stays among the flags of a file: CRIU opens it again through a link, with these. */
function forInheritance(fd: number, flags: number): number {
  const plain = openSync(`/proc/self/fd/${fd}`, flags | constants.O_NONBLOCK);
  closeSync(fd);
  setNonBlocking(plain, false);
  return plain;
}

export function setNonBlocking(fd: number, isNonBlocking: boolean): void {
  const flags = check(fcntl(fd, F_GETFL, 0), 'fcntl F_GETFL');
  const wanted = isNonBlocking ? flags | constants.O_NONBLOCK : flags & ~constants.O_NONBLOCK;
  if (wanted !== flags) check(fcntl(fd, F_SETFL, wanted), 'fcntl F_SETFL');
}

/** Sets the capacity; unprivileged users are bounded by fs.pipe-max-size, so a refusal leaves the pipe as it is. */
export function setPipeSize(fd: number, bytes: number): number | undefined {
  const size = fcntl(fd, F_SETPIPE_SZ, bytes);
  return size < 0 ? undefined : size;
}
