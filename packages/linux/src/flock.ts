/** Advisory lock of a whole file (flock(2)): the kernel frees it when the holder dies, so no pid file can lie. */
import { closeSync, openSync } from 'node:fs';
import { declare, errnoName, lastErrno, systemError } from './libc.ts';

const flock = declare('int flock(int fd, int operation)');
const LOCK_EX_NB = 6;
const LOCK_SH_NB = 5;

/** Takes the lock, making the file if needed; undefined when another holds it. Disposing frees it. */
export function tryLockFile(path: string, kind: 'exclusive' | 'shared' = 'exclusive'): Disposable | undefined {
  const fd = openSync(path, 'a', 0o600);
  if (flock(fd, kind === 'exclusive' ? LOCK_EX_NB : LOCK_SH_NB) < 0) {
    const errno = lastErrno();
    closeSync(fd);
    if (errnoName(errno) === 'EAGAIN' || errnoName(errno) === 'EWOULDBLOCK') return undefined;
    throw systemError('flock', errno, path);
  }
  return { [Symbol.dispose]: () => closeSync(fd) };
}
