/**
 * A second, plain record of every snapshot beside the database: `<root>/info/<number>.json`. Should the database be damaged,
 * names and parents come back from here; without them the directories would be data that nobody can address.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, makeDirectorySync, messageOf, writeFileAtomicSync } from '@boxship/base';
import type { SnapshotKind } from './snapshotter.ts';

export interface SidecarRecord {
  readonly id: number;
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly parentId: number | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: number;
  /** As in the database. */
  readonly unsyncedIn?: string;
}

export class SnapshotSidecar {
  readonly #directory: string;
  readonly #log: Logger;

  constructor(root: string, log: Logger) {
    this.#directory = join(root, 'info');
    this.#log = log;
    makeDirectorySync(this.#directory, 0o700);
  }

  /** Not synced by itself: it matters only when the database is lost, and the next write of the journal carries it. */
  write(record: SidecarRecord): void {
    writeFileAtomicSync(this.#path(record.id), JSON.stringify(record), { mode: 0o600, isDurable: false });
  }

  remove(id: number): void {
    rmSync(this.#path(id), { force: true });
  }

  /** All records, parents first. */
  read(): SidecarRecord[] {
    const records: SidecarRecord[] = [];
    for (const name of readdirSync(this.#directory)) {
      if (!/^\d+\.json$/.test(name)) continue;
      try {
        records.push(JSON.parse(readFileSync(join(this.#directory, name), 'utf8')) as SidecarRecord);
      } catch (error) {
        this.#log.warn('unreadable snapshot record', { name, error: messageOf(error) });
      }
    }
    return records.sort((a, b) => a.id - b.id);
  }

  #path(id: number): string {
    return join(this.#directory, `${id}.json`);
  }
}
