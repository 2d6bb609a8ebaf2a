/**
 * Exit status of children, by pid. Never waits for "any child": those of Node's child_process belong to libuv, which would
 * not see them end.
 */
import { declare, errnoName, lastErrno, systemError } from './libc.ts';

const waitpid = declare('int waitpid(int pid, void *status, int options)');
const WNOHANG = 1;

export type Reaped =
  | { readonly kind: 'exited'; readonly waitStatus: number }
  | { readonly kind: 'running' }
  | { readonly kind: 'foreign' }; // not (or no longer) a child of this process

/** Takes the exit status of a child that has ended; never waits. */
export function reapChild(pid: number): Reaped {
  const status = Buffer.alloc(4);
  const result = waitpid(pid, status, WNOHANG);
  if (result === pid) return { kind: 'exited', waitStatus: status.readInt32LE(0) };
  if (result === 0) return { kind: 'running' };
  const errno = lastErrno();
  if (errnoName(errno) === 'ECHILD') return { kind: 'foreign' };
  throw systemError('waitpid', errno, String(pid));
}

/** The exit code as shells and Docker count: the status, or 128 + signal. */
export function exitCodeOf(waitStatus: number): number {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? (waitStatus >> 8) & 0xff : 128 + signal;
}
