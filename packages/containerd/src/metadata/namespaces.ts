/**
 * Namespaces. One exists as soon as it is created, labelled or has an object; reading an unknown one is no error, which is
 * what dockerd and ctr rely on.
 */
import { BoxshipError } from '@boxship/base';
import { checkLabels } from '@boxship/image-store';
import type { Database } from './database.ts';

type Labels = { [key: string]: string };

const objectTables = [
  ['images', `SELECT 1 FROM records WHERE kind = 'image' AND namespace = ? LIMIT 1`],
  ['containers', `SELECT 1 FROM records WHERE kind = 'container' AND namespace = ? LIMIT 1`],
  ['blobs', 'SELECT 1 FROM blobs WHERE namespace = ? LIMIT 1'],
  ['snapshots', 'SELECT 1 FROM snapshots WHERE namespace = ? LIMIT 1'],
  ['sandboxes', `SELECT 1 FROM records WHERE kind = 'sandbox' AND namespace = ? LIMIT 1`],
  ['leases', `SELECT 1 FROM records WHERE kind = 'lease' AND namespace = ? LIMIT 1`],
] as const;

export class NamespaceTable {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  labels(name: string): Labels {
    const row = this.#database.prepare('SELECT labels FROM namespaces WHERE name = ?').get(name) as
      | { labels: string }
      | undefined;
    return row === undefined ? {} : (JSON.parse(row.labels) as Labels);
  }

  /** Names in order: explicit ones and those that own an object. */
  list(): string[] {
    const rows = this.#database
      .prepare(
        `SELECT name FROM namespaces UNION SELECT namespace FROM records UNION SELECT namespace FROM blobs
         UNION SELECT namespace FROM snapshots ORDER BY 1`,
      )
      .all() as { name: string }[];
    return rows.map((row) => row.name);
  }

  exists(name: string): boolean {
    return this.list().includes(name);
  }

  /** @throws alreadyExists */
  create(name: string, labels: Labels): void {
    this.#database.transaction(() => {
      if (this.exists(name)) throw new BoxshipError('alreadyExists', `namespace "${name}"`);
      this.put(name, labels);
    });
  }

  put(name: string, labels: Labels): void {
    checkLabels(labels);
    this.#database
      .prepare('INSERT OR REPLACE INTO namespaces (name, labels) VALUES (?, ?)')
      .run(name, JSON.stringify(labels));
  }

  /** @throws notFound, failedPrecondition while it owns objects */
  delete(name: string): void {
    this.#database.transaction(() => {
      if (!this.exists(name)) throw new BoxshipError('notFound', `namespace "${name}"`);
      const owned = objectTables
        .filter(([, sql]) => this.#database.prepare(sql).get(name) !== undefined)
        .map(([what]) => what);
      if (owned.length > 0)
        throw new BoxshipError(
          'failedPrecondition',
          `namespace "${name}" must be empty, but it still has ${owned.join(', ')}`,
        );
      this.#database.prepare('DELETE FROM namespaces WHERE name = ?').run(name);
    });
  }
}
