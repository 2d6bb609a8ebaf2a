/**
 * Opens the metadata database: checked at each start, set aside when damaged (never answered for as if it were empty
 * without a word: the caller rebuilds and logs), migrated, in WAL mode with full synchronisation.
 */
import { existsSync, renameSync } from 'node:fs';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { messageOf } from '@boxship/base';
import { migrate } from './schema.ts';

export interface OpenedDatabase {
  readonly database: Database;
  /** Where a damaged predecessor was put, and what was wrong with it. */
  readonly quarantined: { readonly path: string; readonly reason: string } | undefined;
}

export class Database implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  /** The prepared statement for `sql`, made once. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs `work` in one transaction; nested calls join the outer one. Synchronous: it never spans an await. */
  transaction<T>(work: () => T): T {
    if (this.#depth > 0) return work();
    this.#db.exec('BEGIN IMMEDIATE');
    this.#depth++;
    try {
      const result = work();
      this.#db.exec('COMMIT');
      return result;
    } catch (error) {
      this.#db.exec('ROLLBACK');
      throw error;
    } finally {
      this.#depth--;
    }
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

export function openDatabase(path: string): OpenedDatabase {
  let quarantined: OpenedDatabase['quarantined'];
  if (existsSync(path)) {
    const reason = damageOf(path);
    if (reason !== undefined) {
      const aside = `${path}.damaged-${Date.now()}`;
      for (const suffix of ['', '-wal', '-shm'])
        if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix);
      quarantined = { path: aside, reason };
    }
  }
  const db = new DatabaseSync(path);
  // FULL: a commit that was answered survives a power cut
  db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = 5000');
  migrate(db);
  return { database: new Database(db), quarantined };
}

function damageOf(path: string): string | undefined {
  try {
    const db = new DatabaseSync(path);
    try {
      const row = db.prepare('PRAGMA quick_check(1)').get() as { quick_check: string } | undefined;
      return row?.quick_check === 'ok' ? undefined : (row?.quick_check ?? 'quick_check gave no answer');
    } finally {
      db.close();
    }
  } catch (error) {
    return messageOf(error);
  }
}
