/**
 * A second, plain copy of every record that stands. Read only when the database is damaged, so that running containers keep
 * their network and networks their subnets. Networks are JSON files beside the database; sandboxes have a journal in the
 * directory of this boot.
 */
import { mkdirSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, writeFileAtomicSync } from '@boxship/base';
import type { NetworkRecord } from '../model.ts';
import { SandboxJournal } from './sandbox-journal.ts';

export class Mirror implements Disposable {
  readonly sandboxes: SandboxJournal;
  readonly #networks: string;
  readonly #log: Logger;

  constructor(directories: { readonly state: string; readonly run: string }, log: Logger) {
    this.sandboxes = new SandboxJournal(join(directories.run, 'sandboxes.jsonl'), log);
    this.#networks = join(directories.state, 'networks');
    this.#log = log;
    mkdirSync(this.#networks, { recursive: true, mode: 0o700 });
  }

  saveNetwork(record: NetworkRecord): void {
    writeFileAtomicSync(join(this.#networks, record.network.id), JSON.stringify(record), { mode: 0o600 });
  }

  deleteNetwork(id: string): void {
    try {
      unlinkSync(join(this.#networks, id));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  networks(): NetworkRecord[] {
    return readdirSync(this.#networks).flatMap((name) => {
      if (name.endsWith('.tmp')) return []; // of a write that a crash cut off
      try {
        return [JSON.parse(readFileSync(join(this.#networks, name), 'utf8')) as NetworkRecord];
      } catch (error) {
        const directory = this.#networks;
        this.#log.error('copy of a record cannot be read: the record is lost', { directory, name, error });
        return [];
      }
    });
  }

  [Symbol.dispose](): void {
    this.sandboxes[Symbol.dispose]();
  }
}
