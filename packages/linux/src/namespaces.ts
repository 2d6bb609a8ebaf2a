/**
 * Network namespaces from a program with many threads (setns(2), unshare(2)). The namespace belongs to the thread: everything
 * here is synchronous on the calling thread and returns home before it gives control back, so no other code of the process
 * ever runs inside. A named namespace is a bind mount of its nsfs file; it lives while the mount, a process or a socket of it does.
 */

import { closeSync, mkdirSync, openSync, stat, statfsSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { BoxshipError } from '@boxship/base';
import { check, declare, lastErrno, systemError } from './libc.ts';

const setNamespace = declare('int setns(int fd, int type)');
const unshareNamespace = declare('int unshare(int flags)');
const bindMount = declare(
  'int mount(const char *source, const char *target, const char *type, ulong flags, const void *data)',
);
const unmount = declare('int umount2(const char *target, int flags)');

const CLONE_NEWNET = 0x40000000;
const MS_BIND = 4096;
const MNT_DETACH = 2;
const EINVAL = 22;
const ENOENT = 2;
const NSFS_MAGIC = 0x6e736673;
const ownNamespace = '/proc/thread-self/ns/net';

let isPoolStarted = false;

/**
 * libuv starts its pool threads with the first job. If that happened while this thread was away, they would stay in the
 * foreign namespace for the life of the process; one job from home makes sure.
 */
function startPoolAtHome(): void {
  if (isPoolStarted) return;
  isPoolStarted = true;
  stat('/', () => {});
}

function goHome(homeFd: number): void {
  if (setNamespace(homeFd, CLONE_NEWNET) === 0) return;
  // staying would make every later socket of this process one of the wrong namespace
  process.stderr.write(`setns home: errno ${lastErrno()}\n`);
  process.abort();
}

function away<T>(enter: () => void, work: () => T): T {
  startPoolAtHome();
  const home = openSync(ownNamespace, 'r');
  try {
    enter();
    let result: T;
    try {
      result = work();
    } finally {
      goHome(home);
    }
    if (result instanceof Promise) throw new BoxshipError('internal', 'work inside of a namespace must be synchronous');
    return result;
  } finally {
    closeSync(home);
  }
}

/** Runs synchronous work inside of the network namespace at `path` (or open as a descriptor). Sockets opened stay there. */
export function runInNetworkNamespace<T>(namespace: string | number, work: () => T): T {
  const fd = typeof namespace === 'number' ? namespace : openSync(namespace, 'r');
  try {
    return away(() => check(setNamespace(fd, CLONE_NEWNET), 'setns', String(namespace)), work);
  } finally {
    if (typeof namespace === 'string') closeSync(fd);
  }
}

/**
 * Makes a network namespace, names it `path`, and runs `work` inside. If `work` throws, the namespace is gone again.
 * @throws alreadyExists when the file is there
 */
export function createNetworkNamespace<T>(path: string, work: () => T): T {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  closeSync(openSync(path, 'wx', 0o444));
  try {
    return away(
      () => check(unshareNamespace(CLONE_NEWNET), 'unshare', 'CLONE_NEWNET'),
      () => {
        check(bindMount(ownNamespace, path, 'none', MS_BIND, null), 'mount', path);
        return work();
      },
    );
  } catch (error) {
    removeNetworkNamespace(path);
    throw error;
  }
}

/**
 * Makes a network namespace without a name and runs `work` inside. It lives while the descriptor is open, or a socket or a name
 * of it is there; so it ends with the process.
 */
export function openNetworkNamespace<T>(work: () => T): { readonly fd: number; readonly result: T } {
  return away(
    () => check(unshareNamespace(CLONE_NEWNET), 'unshare', 'CLONE_NEWNET'),
    () => {
      const fd = openSync(ownNamespace, 'r');
      try {
        return { fd, result: work() };
      } catch (error) {
        closeSync(fd);
        throw error;
      }
    },
  );
}

/** Names a network namespace `path` (a bind mount of it): by default that of this thread, else `/proc/<pid>/ns/net`. */
export function nameNetworkNamespace(path: string, source = ownNamespace): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  closeSync(openSync(path, 'wx', 0o444));
  if (bindMount(source, path, 'none', MS_BIND, null) === 0) return;
  const error = systemError('mount', lastErrno(), path);
  unlinkSync(path);
  throw error;
}

/** Drops the name. The kernel frees the namespace in the background once nothing else holds it. Idempotent. */
export function removeNetworkNamespace(path: string): void {
  // a crash between two starts may have stacked mounts; EINVAL: no mount (any more)
  while (unmount(path, MNT_DETACH) === 0);
  const errno = lastErrno();
  if (errno === ENOENT) return;
  if (errno !== EINVAL) throw systemError('umount2', errno, path);
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** True when `path` names a live namespace, false for a mere file left by a crash or no file. */
export function isNamespaceFile(path: string): boolean {
  try {
    return statfsSync(path).type === NSFS_MAGIC;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
