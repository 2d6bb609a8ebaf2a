/**
 * The metadata database as the tables use it: prepared statements made once, and transactions that nest. Opening checks it,
 * sets a damaged one aside and brings the schema to its version (image-store's `openDatabase`).
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Logger } from '@boxship/base';
import { openDatabase } from '@boxship/image-store';
import { migrations } from './schema.ts';

export class Database implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  private constructor(db: DatabaseSync) {
    this.#db = db;
  }

  static open(path: string, log: Logger): Database {
    return new Database(openDatabase({ path, migrations, log }).database);
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
