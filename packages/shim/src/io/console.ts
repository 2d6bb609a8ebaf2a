/**
 * The master of a container's terminal: received from the runtime through a socket, and saved from the death of this
 * process with the help of a second holder.
 *
 * `console.json` says where ours is: { holderPid, fd }. containerd duplicates it with pidfd_getfd. Before it starts a
 * successor it writes `console-held.json`: { pid, fd } of its own, from which the successor takes it.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { BoxshipError, writeFileAtomicSync } from '@boxship/base';
import { duplicateFrom, type FdReceiver, listenForFd, openPidfd, setNonBlocking } from '@boxship/linux';

/** Time for the runtime to hand over the terminal. */
export const CONSOLE_TIMEOUT_MS = 30_000;

/** A socket to name in `--console-socket`. Not in the bundle: its path may be too long for a socket's name. */
export function listenForConsole(socketDirectory: string): FdReceiver {
  mkdirSync(socketDirectory, { recursive: true, mode: 0o700 });
  return listenForFd(`${socketDirectory}/c-${randomBytes(8).toString('hex')}`);
}

/** Makes a received master ready. Its line discipline stays as the kernel set it: a client in raw mode needs its \r\n. */
export function prepareMaster(fd: number): number {
  setNonBlocking(fd, true);
  return fd;
}

/** Tells where the master can be duplicated from. */
export function writeConsoleRecord(path: string, fd: number): void {
  const record = JSON.stringify({ holderPid: process.pid, fd });
  writeFileAtomicSync(path, record, { mode: 0o600, isDurable: false });
}

/** Takes the master back from the holder named in the file, as {@link prepareMaster} wants it. @throws dataLoss when there is none */
export function takeHeldMaster(heldPath: string): number {
  let holder: { readonly pid: number; readonly fd: number };
  try {
    holder = JSON.parse(readFileSync(heldPath, 'utf8')) as typeof holder;
  } catch (cause) {
    throw new BoxshipError('dataLoss', 'the terminal was lost with the shim that held it: nobody kept a duplicate', {
      cause,
    });
  }
  const pidfd = openPidfd(holder.pid);
  try {
    const fd = duplicateFrom(pidfd, holder.fd);
    rmSync(heldPath, { force: true });
    return fd;
  } finally {
    closeSync(pidfd);
  }
}
