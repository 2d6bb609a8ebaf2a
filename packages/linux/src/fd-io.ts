/**
 * read, write and splice on non-blocking descriptors, without exceptions for "not now": on a busy pipe that answer is as
 * common as data.
 */
import { check, declare, errnoName, lastErrno, systemError } from './libc.ts';

const readFd = declare('int64_t read(int fd, void *buf, size_t count)');
const writeFd = declare('int64_t write(int fd, const void *buf, size_t count)');
const spliceFd = declare(
  'int64_t splice(int fdIn, int64_t *offIn, int fdOut, int64_t *offOut, size_t len, unsigned int flags)',
);
const pollFds = declare('int poll(void *fds, unsigned long nfds, int timeout)');

const SPLICE_F_MOVE_NONBLOCK = 3;
const POLLIN = 1;
const POLLOUT = 4;

/** The call would have to wait. */
export const WOULD_BLOCK = -1;

function result(count: number | bigint, call: string): number {
  const n = Number(count);
  if (n >= 0) return n;
  const errno = lastErrno();
  const name = errnoName(errno);
  if (name === 'EAGAIN' || name === 'EWOULDBLOCK' || name === 'EINTR') return WOULD_BLOCK;
  throw systemError(call, errno);
}

/** Bytes read into the buffer, 0 at the end, {@link WOULD_BLOCK}. */
export function readNow(fd: number, buffer: Uint8Array, length = buffer.length): number {
  return result(readFd(fd, buffer, length), 'read');
}

/** Bytes written, or {@link WOULD_BLOCK}. */
export function writeNow(fd: number, buffer: Uint8Array): number {
  return result(writeFd(fd, buffer, buffer.length), 'write');
}

const outOffset = Buffer.alloc(8);

/**
 * Moves bytes inside the kernel, one end being a pipe. The bytes are at every moment in the one or in the other: a process
 * killed in the call loses none. `outAt`: position in a seekable target.
 */
export function spliceNow(fdIn: number, fdOut: number, length: number, outAt?: number): number {
  if (outAt === undefined) return result(spliceFd(fdIn, null, fdOut, null, length, SPLICE_F_MOVE_NONBLOCK), 'splice');
  outOffset.writeBigInt64LE(BigInt(outAt));
  return result(spliceFd(fdIn, null, fdOut, outOffset, length, SPLICE_F_MOVE_NONBLOCK), 'splice');
}

const pollBuffer = Buffer.alloc(8);

/** Whether a read (or write) would not wait at this moment. Hang-up and error count as ready: the call then says which. */
export function isReadyNow(fd: number, interest: 'read' | 'write'): boolean {
  pollBuffer.writeInt32LE(fd, 0);
  pollBuffer.writeInt16LE(interest === 'read' ? POLLIN : POLLOUT, 4);
  pollBuffer.writeInt16LE(0, 6);
  return pollFds(pollBuffer, 1, 0) > 0;
}

const fcntl = declare('int fcntl(int fd, int command, int argument)');
const F_DUPFD_CLOEXEC = 1030;

/** A second descriptor (close-on-exec) of the same open file. */
export function duplicateFd(fd: number): number {
  return check(fcntl(fd, F_DUPFD_CLOEXEC, 3), 'fcntl F_DUPFD_CLOEXEC', `fd ${fd}`);
}
