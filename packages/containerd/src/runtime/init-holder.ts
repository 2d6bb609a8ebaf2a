/**
 * What containerd keeps of a running container so that the death of its shim costs nothing: a pidfd of the init process,
 * from which the kernel tells the exit code to anybody (PIDFD_GET_INFO, Linux 6.15), ends of its stdio pipes, and a duplicate
 * of the console, without which the terminal would hang up. The successor learns of them through files of the bundle:
 *
 *   console.json       shim → containerd   {holderPid, fd}   the console as the shim holds it
 *   console-held.json  containerd → shim   {pid, fd}         the duplicate, to be taken with pidfd_getfd(2)
 *   exit.json          either → the other  {pid, startTicks, exitStatus, exitedAt, oom}
 */
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, writeFileAtomicSync } from '@boxship/base';
import {
  duplicateFrom,
  exitCodeOf,
  exitStatusOfPidfd,
  isErrno,
  openPidfd,
  processStat,
  signalPidfd,
} from '@boxship/linux';
import { readBundleFile } from './bundle.ts';
import { HeldPipes } from './held-pipes.ts';

export class InitHolder implements Disposable {
  /** By process: `init`, `exec-<id>`. */
  readonly #pipes = new Map<string, HeldPipes>();
  readonly #bundle: string;
  readonly #pid: number;
  readonly #startTicks: number;
  readonly #pidfd: number | undefined;
  #console: number | undefined;

  /** @param pid the init process; it may have ended already */
  constructor(bundle: string, pid: number) {
    this.#bundle = bundle;
    this.#pid = pid;
    this.#startTicks = processStat(pid)?.startTicks ?? 0;
    this.#pidfd = openIfAlive(pid);
  }

  /** Holds the stdio of a process that the shim has just created; `execId` empty: of the init. */
  holdStdio(execId: string): void {
    const name = processName(execId);
    if (!this.#pipes.has(name)) this.#pipes.set(name, new HeldPipes(this.#bundle, name));
  }

  closeStdin(execId: string): void {
    this.#pipes.get(processName(execId))?.closeStdin();
  }

  /** The process has been deleted. */
  releaseStdio(execId: string): void {
    this.#pipes.get(processName(execId))?.[Symbol.dispose]();
    this.#pipes.delete(processName(execId));
  }

  /** Duplicates the console, if the bundle names one. */
  holdConsole(): void {
    const text = readBundleFile(this.#bundle, 'console.json');
    if (text === undefined || this.#console !== undefined) return;
    const { holderPid, fd } = JSON.parse(text) as { holderPid: number; fd: number };
    const holder = openIfAlive(holderPid);
    if (holder === undefined) return; // the shim is gone: there is nothing left to hold
    try {
      this.#console = duplicateFrom(holder, fd);
    } catch (error) {
      // ESRCH: a shim that is dead and not reaped; EBADF: its pid is another process's by now. The task is there without it
      if (!isErrno(error, 'ESRCH', 'EBADF')) throw error;
    } finally {
      closeSync(holder);
    }
  }

  /** Writes down for a successor of the shim what only this process knows. */
  prepareSuccession(): void {
    if (this.#console !== undefined) {
      const held = { pid: process.pid, fd: this.#console };
      writeFileAtomicSync(join(this.#bundle, 'console-held.json'), JSON.stringify(held), { isDurable: false });
    }
    const record = join(this.#bundle, 'exit.json');
    if (this.#pidfd === undefined || existsSync(record)) return;
    const status = exitStatusOfPidfd(this.#pidfd, this.#pid);
    // a zombie answers signals, and has a status to be told all the same
    if (status === undefined && signalPidfd(this.#pidfd, 0)) return;
    const exit = {
      pid: this.#pid,
      startTicks: this.#startTicks,
      exitStatus: status === undefined ? 255 : exitCodeOf(status),
      exitedAt: String(BigInt(Date.now()) * 1_000_000n),
      oom: false,
      ...(status === undefined ? { isLost: true } : {}),
    };
    writeFileAtomicSync(record, JSON.stringify(exit));
  }

  /** Signals the process without its shim; false when it has ended. */
  signal(signal: number): boolean {
    return this.#pidfd !== undefined && signalPidfd(this.#pidfd, signal);
  }

  [Symbol.dispose](): void {
    if (this.#pidfd !== undefined) closeSync(this.#pidfd);
    if (this.#console !== undefined) closeSync(this.#console);
    this.#console = undefined;
    for (const pipes of this.#pipes.values()) pipes[Symbol.dispose]();
    this.#pipes.clear();
  }
}

const processName = (execId: string): string => (execId === '' ? 'init' : `exec-${execId}`);

function openIfAlive(pid: number): number | undefined {
  if (pid <= 0) return undefined;
  try {
    return openPidfd(pid);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
}
