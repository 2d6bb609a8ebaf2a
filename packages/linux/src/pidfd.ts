/**
 * Handles of processes that cannot be confused by pid reuse: signal, wait (through a {@link Poller}), exit status also of
 * processes that are nobody's child here, and duplicates of their descriptors.
 */
import { closeSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { check, declare, errnoName, lastErrno, systemError } from './libc.ts';
import type { Poller } from './poller.ts';
import { processStat } from './process-stat.ts';

const syscall = declare('int64_t syscall(int64_t number, int64_t a, int64_t b, int64_t c, int64_t d)');
const ioctl = declare('int ioctl(int fd, unsigned long request, void *argument)');

// these numbers are the same on all architectures (asm-generic, since 5.x)
const SYS_PIDFD_SEND_SIGNAL = 424;
const SYS_PIDFD_OPEN = 434;
const SYS_PIDFD_GETFD = 438;
const PIDFD_GET_INFO = 0xc040ff0b; // _IOWR(0xFF, 11, struct pidfd_info), 64 bytes, Linux 6.13; exit info from 6.15
const PIDFD_INFO_EXIT = 0x8;

/** Opens a handle (close-on-exec). A zombie still has one; a reaped process is `notFound`. */
export function openPidfd(pid: number): number {
  const fd = Number(syscall(SYS_PIDFD_OPEN, pid, 0, 0, 0));
  if (fd >= 0) return fd;
  const errno = lastErrno();
  if (errnoName(errno) === 'ESRCH') throw new BoxshipError('notFound', `no process ${pid}`, { details: { pid } });
  throw systemError('pidfd_open', errno, `process ${pid}`);
}

/** Sends a signal by number; false when the process has ended. Signal 0 only asks. */
export function signalPidfd(pidfd: number, signal: number): boolean {
  if (Number(syscall(SYS_PIDFD_SEND_SIGNAL, pidfd, signal, 0, 0)) >= 0) return true;
  const errno = lastErrno();
  if (errnoName(errno) === 'ESRCH') return false;
  throw systemError('pidfd_send_signal', errno, `signal ${signal}`);
}

/** A duplicate (close-on-exec) of descriptor `fd` of the process behind `pidfd`. Needs ptrace rights over it. */
export function duplicateFrom(pidfd: number, fd: number): number {
  return check(Number(syscall(SYS_PIDFD_GETFD, pidfd, fd, 0, 0)), 'pidfd_getfd', `fd ${fd}`);
}

/**
 * The wait status of an ended process, whoever its parent is: from the handle after it was reaped (Linux 6.15), from
 * /proc while it is a zombie. Undefined while it runs, or when the kernel cannot tell any more.
 */
export function exitStatusOfPidfd(pidfd: number, pid: number): number | undefined {
  const told = statusInHandle(pidfd);
  if (told !== undefined) return told;
  const stat = processStat(pid);
  // signal 0 reaches a zombie, too: the pid still was this process's when its status was read
  if ((stat?.state === 'Z' || stat?.state === 'X') && signalPidfd(pidfd, 0)) return stat.waitStatus;
  // reaped between the two questions: the kernel fills the handle before the process leaves /proc
  return statusInHandle(pidfd);
}

function statusInHandle(pidfd: number): number | undefined {
  const info = Buffer.alloc(64);
  info.writeBigUInt64LE(BigInt(PIDFD_INFO_EXIT), 0);
  const isTold = ioctl(pidfd, PIDFD_GET_INFO, info) >= 0 && (info.readBigUInt64LE(0) & BigInt(PIDFD_INFO_EXIT)) !== 0n;
  return isTold ? info.readInt32LE(60) : undefined;
}

/**
 * Calls back once when the process has ended (it may still be a zombie). The descriptor must stay open until then.
 * `endedAt`: the time, as `performance.now()`, when that was noticed.
 */
export function onPidfdExit(poller: Poller, pidfd: number, callback: (endedAt: number) => void): void {
  poller.arm(pidfd, 'read', ({ at }) => callback(at));
}

/** Ends the watch and closes the handle. */
export function closePidfd(poller: Poller, pidfd: number): void {
  poller.remove(pidfd);
  closeSync(pidfd);
}
