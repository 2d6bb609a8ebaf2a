/**
 * A second, plain copy of every record that stands: one JSON file each. Read only when the database is damaged, so that running
 * containers keep their network and networks their subnets. Networks beside the database, sandboxes in the directory of this boot.
 */
import { mkdirSync, readdirSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, writeFileAtomicSync } from '@boxship/base';
import type { NetworkRecord, SandboxRecord } from '../model.ts';

export class Mirror {
  readonly #networks: string;
  readonly #sandboxes: string;

  constructor(directories: { readonly state: string; readonly run: string }) {
    this.#networks = join(directories.state, 'networks');
    this.#sandboxes = join(directories.run, 'sandboxes');
    for (const directory of [this.#networks, this.#sandboxes]) mkdirSync(directory, { recursive: true, mode: 0o700 });
  }

  saveNetwork(record: NetworkRecord): void {
    writeFileAtomicSync(join(this.#networks, record.network.id), JSON.stringify(record), { mode: 0o600 });
  }

  deleteNetwork(id: string): void {
    remove(join(this.#networks, id));
  }

  saveSandbox(record: SandboxRecord): void {
    const path = join(this.#sandboxes, record.spec.id);
    // ext4 writes the data out, and waits, when a file is renamed over another one
    remove(path);
    writeFileAtomicSync(path, JSON.stringify(record), { mode: 0o600, isDurable: false });
  }

  deleteSandbox(id: string): void {
    remove(join(this.#sandboxes, id));
  }

  networks(log: Logger): NetworkRecord[] {
    return readAll<NetworkRecord>(this.#networks, log);
  }

  sandboxes(log: Logger): SandboxRecord[] {
    return readAll<SandboxRecord>(this.#sandboxes, log);
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function readAll<T>(directory: string, log: Logger): T[] {
  return readdirSync(directory).flatMap((name) => {
    if (name.endsWith('.tmp')) return []; // of a write that a crash cut off
    try {
      return [JSON.parse(readFileSync(join(directory, name), 'utf8')) as T];
    } catch (error) {
      log.error('copy of a record cannot be read: the record is lost', { directory, name, error });
      return [];
    }
  });
}
