/**
 * A second holder of what dies with its last descriptor: handles of processes (their exit codes), masters of terminals, ends
 * of FIFOs. Descriptors live only in processes, so it is one: `sleep`, which parses nothing, started with the descriptors
 * that it is to hold. A change starts another and ends the last; a successor of the shim finds it by its environment
 * (see kept.ts) and takes the descriptors back with pidfd_getfd(2).
 *
 * `<directory>/keeper-<random>` lists the names of what descriptors 3, 4, 5 … of one keeper are. It is written before the
 * process starts: one that a crash leaves without a list could not be found.
 */
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, messageOf } from '@boxship/base';
import { markInheritedCloseOnExec, spawnProcess } from '@boxship/linux';

export const LIST_PREFIX = 'keeper-';
export const LIST_VARIABLE = 'BOXSHIP_KEEPER';
export const FIRST_FD = 3;

/** Containers that are gone sooner are not worth a keeper: starting one costs milliseconds. */
const LATER_MS = 200;
/** A keeper whose shim never had a successor ends by itself; one in use is renewed when it ends. */
const SLEEP_SECONDS = 24 * 60 * 60;

export interface Holding {
  readonly name: string;
  readonly fd: number;
}

export interface Holdings extends Disposable {
  readonly list: readonly Holding[];
}

export class Keeper {
  readonly #directory: string;
  readonly #collect: () => Holdings;
  readonly #log: Logger;
  #current: { readonly pid: number; readonly names: ReadonlySet<string> } | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param collect gives what is to be held now; disposed when a keeper has it */
  constructor(directory: string, collect: () => Holdings, log: Logger) {
    this.#directory = directory;
    this.#collect = collect;
    this.#log = log;
  }

  /** Something has come or gone. Many changes at a time cost one new keeper. */
  changed(): void {
    this.#timer ??= setTimeout(() => this.update(), LATER_MS).unref();
  }

  /** The descriptor of that name is to be open nowhere any more. */
  drop(name: string): void {
    if (this.#current?.names.has(name) === true) this.update();
  }

  /** Brings the keeper up to date now. Never throws: the containers are worth more than their second holder. */
  update(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    try {
      using holdings = this.#collect();
      const next = holdings.list.length === 0 ? undefined : this.#start(holdings.list);
      this.#end();
      this.#current = next;
    } catch (error) {
      this.#log.warn('descriptors are not held for a successor', { error: messageOf(error) });
    }
  }

  #start(holdings: readonly Holding[]): { pid: number; names: ReadonlySet<string> } {
    const list = join(this.#directory, `${LIST_PREFIX}${randomBytes(6).toString('hex')}`);
    writeFileSync(list, holdings.map(({ name }) => `${name}\n`).join(''), { mode: 0o600 });
    try {
      markInheritedCloseOnExec();
      const { pid, ended } = spawnProcess('sleep', {
        arguments: [String(SLEEP_SECONDS)],
        env: { [LIST_VARIABLE]: list },
        stdio: [undefined, undefined, undefined, ...holdings.map(({ fd }) => fd)],
        workingDirectory: '/',
      });
      void this.#ended(pid, ended, list);
      return { pid, names: new Set(holdings.map(({ name }) => name)) };
    } catch (error) {
      rmSync(list, { force: true });
      throw error;
    }
  }

  async #ended(pid: number, ended: Promise<number>, list: string): Promise<void> {
    await ended.catch((error: unknown) =>
      this.#log.warn('the holder of descriptors was lost sight of', { error: messageOf(error) }),
    );
    rmSync(list, { force: true });
    if (this.#current?.pid !== pid) return; // replaced
    this.#current = undefined;
    this.changed();
  }

  #end(): void {
    const last = this.#current;
    this.#current = undefined;
    if (last !== undefined) process.kill(last.pid, 'SIGKILL');
  }
}
