/**
 * The metadata of a snapshotter in SQLite: names, kinds, parents, labels, recorded usage. Directories are named by the row's
 * number, never by a key, so that a key may be any text. Numbers are never used twice.
 */

import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { BoxshipError, type Logger, messageOf } from '@boxship/base';
import { checkLabels, updatedLabels } from '../labels.ts';
import { inTransaction, openDatabase, type TransactionOptions } from '../sqlite/open-database.ts';
import { SnapshotSidecar } from './sidecar.ts';
import type { SnapshotInfo, SnapshotKind, SnapshotOptions, SnapshotUpdate, SnapshotUsage } from './snapshotter.ts';

const schema = `
  CREATE TABLE snapshot (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('active', 'view', 'committed')),
    parent_id INTEGER REFERENCES snapshot (id),
    labels TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    inodes INTEGER,
    size_bytes INTEGER
  );
  CREATE INDEX snapshot_parent ON snapshot (parent_id)`;
const withUnsynced = 'ALTER TABLE snapshot ADD COLUMN unsynced_in TEXT';

interface Row {
  readonly id: number;
  readonly name: string;
  readonly kind: SnapshotKind;
  readonly parent_id: number | null;
  readonly parent_name: string | null;
  readonly labels: string;
  readonly created_at: number;
  readonly updated_at: number;
  readonly inodes: number | null;
  readonly size_bytes: number | null;
  readonly unsynced_in: string | null;
}

/** A snapshot with the numbers of its directories. */
export interface SnapshotRecord {
  readonly id: number;
  readonly info: SnapshotInfo;
  /** Numbers of the parents, nearest first. */
  readonly parentIds: readonly number[];
  readonly usage: SnapshotUsage | undefined;
  /** The boot in which it was committed, if its files are not known to be on the disk. */
  readonly unsyncedIn: string | undefined;
}

const select = 'SELECT s.*, p.name AS parent_name FROM snapshot s LEFT JOIN snapshot p ON p.id = s.parent_id';

export class SnapshotMetadata {
  readonly #database: DatabaseSync;
  readonly #sidecar: SnapshotSidecar;

  /** Opens or makes `<root>/metadata.db`. */
  constructor(root: string, log: Logger) {
    const opened = openDatabase({ path: join(root, 'metadata.db'), migrations: [schema, withUnsynced], log });
    this.#database = opened.database;
    this.#sidecar = new SnapshotSidecar(root, log);
    if (opened.isRebuilt) this.#rebuild(log);
  }

  #rebuild(log: Logger): void {
    const insert = this.#database.prepare(
      'INSERT INTO snapshot (id, name, kind, parent_id, labels, created_at, updated_at, unsynced_in) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
    );
    inTransaction(this.#database, () => {
      for (const { id, name, kind, parentId, labels, createdAt, unsyncedIn } of this.#sidecar.read()) {
        try {
          insert.run(id, name, kind, parentId, JSON.stringify(labels), createdAt, Date.now(), unsyncedIn ?? null);
        } catch (error) {
          log.error('snapshot cannot be restored', { id, name, error: messageOf(error) });
        }
      }
    });
  }

  #note(name: string): SnapshotRecord {
    const record = this.get(name);
    const { kind, labels, createdAt } = record.info;
    const parentId = record.parentIds[0] ?? null;
    const { id, unsyncedIn } = record;
    const unsynced = unsyncedIn === undefined ? {} : { unsyncedIn };
    this.#sidecar.write({ id, name, kind, parentId, labels, createdAt: createdAt.getTime(), ...unsynced });
    return record;
  }

  /** @throws notFound */
  get(name: string): SnapshotRecord {
    const row = this.#find(name);
    if (row === undefined) throw new BoxshipError('notFound', `snapshot ${name} does not exist`);
    return this.#record(row);
  }

  /** Checks that a snapshot can be made, before anything is done for it. @throws alreadyExists, notFound, invalidArgument */
  check(name: string, parent: string): readonly number[] {
    if (name === '') throw new BoxshipError('invalidArgument', 'snapshot key must not be empty');
    if (name.length > 1024 || name.includes('\0'))
      throw new BoxshipError('invalidArgument', 'snapshot key is too long or holds a NUL');
    if (this.#find(name) !== undefined) throw new BoxshipError('alreadyExists', `snapshot "${name}": already exists`);
    if (parent === '') return [];
    const row = this.#find(parent);
    if (row === undefined) throw new BoxshipError('notFound', `parent snapshot ${parent} does not exist`);
    if (row.kind !== 'committed')
      throw new BoxshipError(
        'invalidArgument',
        `failed to create snapshot: parent "${parent}" is not committed snapshot`,
      );
    return [row.id, ...this.#ancestors(row)];
  }

  /** Adds a snapshot. `place` puts its directory where the number says, before the row is committed. */
  create(
    fields: { readonly name: string; readonly kind: 'active' | 'view'; readonly parent: string } & SnapshotOptions,
    place: (id: number) => void,
    options?: TransactionOptions,
  ): SnapshotRecord {
    checkLabels(fields.labels ?? {});
    const enter = (): SnapshotRecord => {
      const parentIds = this.check(fields.name, fields.parent);
      const now = Date.now();
      const { lastInsertRowid } = this.#database
        .prepare(
          'INSERT INTO snapshot (name, kind, parent_id, labels, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(fields.name, fields.kind, parentIds[0] ?? null, JSON.stringify(fields.labels ?? {}), now, now);
      place(Number(lastInsertRowid));
      return this.#note(fields.name);
    };
    return inTransaction(this.#database, enter, options);
  }

  /** `unsyncedIn`: the boot, when its files are still to be synced, which this is deferred to. @throws alreadyExists, notFound, failedPrecondition */
  commit(name: string, key: string, options: SnapshotOptions & { readonly unsyncedIn?: string } = {}): void {
    checkLabels(options.labels ?? {});
    const change = (): void => {
      const row = this.#find(key);
      if (row === undefined) throw new BoxshipError('notFound', `snapshot ${key} does not exist`);
      if (name === '') throw new BoxshipError('invalidArgument', 'snapshot name must not be empty');
      if (this.#find(name) !== undefined) throw new BoxshipError('alreadyExists', `snapshot "${name}": already exists`);
      if (row.kind !== 'active')
        throw new BoxshipError(
          'failedPrecondition',
          `failed to commit snapshot: snapshot ${JSON.stringify(key)} is not active`,
        );
      this.#database
        .prepare(
          "UPDATE snapshot SET name = ?, kind = 'committed', labels = ?, updated_at = ?, created_at = ?, unsynced_in = ? WHERE id = ?",
        )
        .run(name, JSON.stringify(options.labels ?? {}), Date.now(), Date.now(), options.unsyncedIn ?? null, row.id);
      this.#note(name);
    };
    inTransaction(this.#database, change, { isDeferred: options.unsyncedIn !== undefined });
  }

  /** Those whose files are not known to be on the disk, with the boot in which they were committed. */
  unsynced(): readonly { readonly id: number; readonly bootId: string }[] {
    const rows = this.#database.prepare(
      'SELECT id, unsynced_in AS bootId FROM snapshot WHERE unsynced_in IS NOT NULL ORDER BY id',
    );
    return rows.all() as unknown as { id: number; bootId: string }[];
  }

  /** The files of these are on the disk. Those that were removed meanwhile are passed over. */
  markSynced(ids: readonly number[]): void {
    const mark = this.#database.prepare('UPDATE snapshot SET unsynced_in = NULL WHERE id = ? RETURNING name');
    inTransaction(this.#database, () => {
      for (const id of ids) {
        const row = mark.get(id) as { readonly name: string } | undefined;
        if (row !== undefined) this.#note(row.name);
      }
    });
  }

  /** Removes the row and gives its number. @throws notFound, failedPrecondition */
  remove(key: string): number {
    return inTransaction(this.#database, () => {
      const row = this.#find(key);
      if (row === undefined) throw new BoxshipError('notFound', `snapshot ${key} does not exist`);
      if (this.#database.prepare('SELECT 1 FROM snapshot WHERE parent_id = ? LIMIT 1').get(row.id) !== undefined)
        throw new BoxshipError('failedPrecondition', 'cannot remove snapshot with child');
      this.#database.prepare('DELETE FROM snapshot WHERE id = ?').run(row.id);
      this.#sidecar.remove(row.id);
      return row.id;
    });
  }

  /** @throws notFound, invalidArgument */
  update(update: SnapshotUpdate): SnapshotInfo {
    const { info, id } = this.get(update.name);
    const labels = updatedLabels(info.labels, update.labels, update.fields);
    checkLabels(labels);
    this.#database
      .prepare('UPDATE snapshot SET labels = ?, updated_at = ? WHERE id = ?')
      .run(JSON.stringify(labels), Date.now(), id);
    return this.#note(update.name).info;
  }

  recordUsage(id: number, usage: SnapshotUsage): void {
    this.#database
      .prepare("UPDATE snapshot SET inodes = ?, size_bytes = ? WHERE id = ? AND kind = 'committed'")
      .run(usage.inodes, usage.sizeBytes, id);
  }

  all(): SnapshotRecord[] {
    return (this.#database.prepare(`${select} ORDER BY s.id`).all() as unknown as Row[]).map((row) =>
      this.#record(row),
    );
  }

  infos(): SnapshotInfo[] {
    return (this.#database.prepare(`${select} ORDER BY s.id`).all() as unknown as Row[]).map(infoOf);
  }

  /** Forgets snapshots by number, with those above them, since their directories are lost. Returns all of them. */
  forget(ids: readonly number[]): SnapshotRecord[] {
    const lost = this.all().filter(
      ({ id, parentIds }) => ids.includes(id) || parentIds.some((parent) => ids.includes(parent)),
    );
    const remove = this.#database.prepare('DELETE FROM snapshot WHERE id = ?');
    inTransaction(this.#database, () => {
      for (const { id } of lost.toReversed()) {
        remove.run(id);
        this.#sidecar.remove(id);
      }
    });
    return lost;
  }

  close(): void {
    this.#database.close();
  }

  #find(name: string): Row | undefined {
    return this.#database.prepare(`${select} WHERE s.name = ?`).get(name) as Row | undefined;
  }

  #ancestors(row: Row): number[] {
    const ids: number[] = [];
    const parentOf = this.#database.prepare('SELECT parent_id FROM snapshot WHERE id = ?');
    for (let id = row.parent_id; id !== null; ) {
      ids.push(id);
      id = (parentOf.get(id) as { parent_id: number | null }).parent_id;
    }
    return ids;
  }

  #record(row: Row): SnapshotRecord {
    const usage = row.inodes === null ? undefined : { inodes: row.inodes, sizeBytes: row.size_bytes ?? 0 };
    const unsyncedIn = row.unsynced_in ?? undefined;
    return { id: row.id, info: infoOf(row), parentIds: this.#ancestors(row), usage, unsyncedIn };
  }
}

function infoOf(row: Row): SnapshotInfo {
  return {
    kind: row.kind,
    name: row.name,
    parent: row.parent_name ?? '',
    labels: JSON.parse(row.labels) as Record<string, string>,
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
  };
}
