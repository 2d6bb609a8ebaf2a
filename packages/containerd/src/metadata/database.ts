/**
 * The metadata database as the tables use it: prepared statements made once, and transactions that nest. Opening checks it,
 * sets a damaged one aside and brings the schema to its version (image-store's `openDatabase`).
 */
import { existsSync } from 'node:fs';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Logger } from '@boxship/base';
import { inTransaction, openDatabase, type TransactionOptions } from '@boxship/image-store';
import { MetadataJournal, replayJournal } from './journal.ts';
import { migrations } from './schema.ts';

export class Database implements Disposable {
  readonly #db: DatabaseSync;
  readonly #journal: MetadataJournal;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;
  /** Set when an earlier database was lost: how many records of its journal could be used. */
  readonly replayedRecords: number | undefined;

  private constructor(db: DatabaseSync, journal: MetadataJournal, replayedRecords: number | undefined) {
    this.#db = db;
    this.#journal = journal;
    this.replayedRecords = replayedRecords;
  }

  /** Opens `<path>`, with its journal beside it. */
  static open(path: string, log: Logger): Database {
    const journalPath = `${path.replace(/\.db$/, '')}.journal`;
    const isMissing = !existsSync(path) && existsSync(journalPath);
    const { database, isRebuilt } = openDatabase({ path, migrations, log });
    const replayed = isRebuilt || isMissing ? replayJournal(database, journalPath) : undefined;
    return new Database(database, new MetadataJournal(database, path, journalPath, migrations), replayed);
  }

  /** The prepared statement for `sql`, made once. */
  prepare(sql: string): StatementSync {
    if (this.#depth === 0 && !sql.startsWith('SELECT')) this.#journal.schedule();
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /** Runs `work` in one transaction; nested calls join the outer one. Synchronous: it never spans an await. */
  transaction<T>(work: () => T, options?: TransactionOptions): T {
    if (this.#depth > 0) return work();
    this.#depth++;
    try {
      return inTransaction(this.#db, work, options);
    } finally {
      this.#depth--;
      this.#journal.schedule();
    }
  }

  [Symbol.dispose](): void {
    this.#journal[Symbol.dispose]();
    this.#db.close();
  }
}
