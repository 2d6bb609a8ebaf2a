/** What a predecessor's keeper holds: found through /proc, taken back descriptor by descriptor. */
import { closeSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import { duplicateFrom, isErrno, openPidfd, signalPidfd } from '@boxship/linux';
import { FIRST_FD, LIST_PREFIX, LIST_VARIABLE } from './keeper.ts';

const SIGKILL = 9;

interface Source {
  readonly pidfd: number;
  readonly fd: number;
}

export class KeptDescriptors implements Disposable {
  readonly #sources = new Map<string, Source>();
  readonly #keepers: number[] = [];
  readonly #lists: readonly string[];

  /** Finds the keepers whose lists are in `directory`. */
  constructor(directory: string) {
    this.#lists = readdirSync(directory)
      .filter((name) => name.startsWith(LIST_PREFIX))
      .map((name) => join(directory, name));
    if (this.#lists.length === 0) return;
    for (const pid of processes()) {
      const list = listOf(pid);
      if (list !== undefined && this.#lists.includes(list)) this.#add(pid, list);
    }
  }

  #add(pid: number, list: string): void {
    let pidfd: number;
    try {
      pidfd = openPidfd(pid);
    } catch (error) {
      if (BoxshipError.is(error, 'notFound')) return; // ended since it was found
      throw error;
    }
    this.#keepers.push(pidfd);
    const names = readFileSync(list, 'utf8').split('\n').filter(Boolean);
    for (const [index, name] of names.entries()) this.#sources.set(name, { pidfd, fd: FIRST_FD + index });
  }

  /** A duplicate of what is kept under the name; undefined when nothing is. */
  take(name: string): number | undefined {
    const source = this.#sources.get(name);
    if (source === undefined) return undefined;
    try {
      return duplicateFrom(source.pidfd, source.fd);
    } catch (error) {
      if (isErrno(error, 'ESRCH', 'EBADF')) return undefined; // the keeper has ended
      throw error;
    }
  }

  /** Ends the predecessor's keepers; to be called when a keeper of ours holds what is still wanted. */
  [Symbol.dispose](): void {
    for (const pidfd of this.#keepers.splice(0)) {
      signalPidfd(pidfd, SIGKILL);
      closeSync(pidfd);
    }
    for (const list of this.#lists) rmSync(list, { force: true });
    this.#sources.clear();
  }
}

const processes = (): number[] => readdirSync('/proc').map(Number).filter(Number.isInteger);

function listOf(pid: number): string | undefined {
  try {
    const variables = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    const prefix = `${LIST_VARIABLE}=`;
    return variables.find((variable) => variable.startsWith(prefix))?.slice(prefix.length);
  } catch {
    return undefined; // ended, or not ours to ask
  }
}
