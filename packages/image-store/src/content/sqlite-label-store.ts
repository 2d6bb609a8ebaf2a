/** Labels of blobs in SQLite, for a content store that is used without containerd's metadata. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Logger } from '@boxship/base';
import type { Digest } from '@boxship/oci';
import { openDatabase } from '../sqlite/open-database.ts';
import type { BlobLabels, LabelStore } from './label-store.ts';

const schema =
  'CREATE TABLE blob (digest TEXT PRIMARY KEY, labels TEXT NOT NULL, updated_at INTEGER NOT NULL) WITHOUT ROWID';

export class SqliteLabelStore implements LabelStore {
  readonly #database: DatabaseSync;
  readonly #get: StatementSync;
  readonly #set: StatementSync;
  readonly #delete: StatementSync;

  constructor(path: string, log?: Logger) {
    this.#database = openDatabase({ path, migrations: [schema], ...(log === undefined ? {} : { log }) }).database;
    this.#get = this.#database.prepare('SELECT labels, updated_at FROM blob WHERE digest = ?');
    this.#set = this.#database.prepare('INSERT OR REPLACE INTO blob (digest, labels, updated_at) VALUES (?, ?, ?)');
    this.#delete = this.#database.prepare('DELETE FROM blob WHERE digest = ?');
  }

  get(digest: Digest): BlobLabels | undefined {
    const row = this.#get.get(digest) as { labels: string; updated_at: number } | undefined;
    return row === undefined
      ? undefined
      : { labels: JSON.parse(row.labels) as Record<string, string>, updatedAt: new Date(row.updated_at) };
  }

  set(digest: Digest, labels: Readonly<Record<string, string>>): void {
    this.#set.run(digest, JSON.stringify(labels), Date.now());
  }

  delete(digest: Digest): void {
    this.#delete.run(digest);
  }

  close(): void {
    this.#database.close();
  }
}
