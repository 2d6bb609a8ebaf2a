/**
 * Opens a metadata database: WAL, full durability, and a schema brought to its newest version step by step. A database that is damaged is put aside for a
 * post-mortem and made anew; its owner then rebuilds from the directories it describes, and says so in the log.
 */
import { existsSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { BoxshipError, type Logger, makeDirectorySync, messageOf } from '@boxship/base';

export interface DatabaseOptions {
  readonly path: string;
  /** Statements per version: the first make version 1 out of an empty database, each of the others the next version. */
  readonly migrations: readonly string[];
  readonly log?: Logger;
}

export interface OpenedDatabase {
  readonly database: DatabaseSync;
  /** True when an earlier database was lost. */
  readonly isRebuilt: boolean;
}

/** @throws failedPrecondition for a database of a newer version */
export function openDatabase(options: DatabaseOptions): OpenedDatabase {
  makeDirectorySync(dirname(options.path), 0o700);
  try {
    return { database: openOnce(options), isRebuilt: false };
  } catch (error) {
    if (BoxshipError.is(error)) throw error;
    const quarantine = `${options.path}.corrupt-${Date.now()}`;
    for (const suffix of ['', '-wal', '-shm'])
      if (existsSync(options.path + suffix)) renameSync(options.path + suffix, quarantine + suffix);
    options.log?.error('metadata database is damaged; it is put aside and rebuilt', {
      path: options.path,
      quarantine,
      error: messageOf(error),
    });
    return { database: openOnce(options), isRebuilt: true };
  }
}

function openOnce(options: DatabaseOptions): DatabaseSync {
  const database = new DatabaseSync(options.path);
  try {
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000',
    );
    const check = database.prepare('PRAGMA quick_check(1)').get() as { quick_check?: string } | undefined;
    if (check?.quick_check !== 'ok') throw new Error(`quick_check: ${check?.quick_check}`);
    const { user_version: version } = database.prepare('PRAGMA user_version').get() as { user_version: number };
    const { length: newest } = options.migrations;
    if (version > newest)
      throw new BoxshipError(
        'failedPrecondition',
        `${options.path} is of version ${version}; this build knows version ${newest}`,
      );
    for (const [from, statements] of options.migrations.entries()) {
      if (from >= version)
        inTransaction(database, () => database.exec(`${statements}; PRAGMA user_version = ${from + 1}`));
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

export interface TransactionOptions {
  /**
   * Do not wait for the disk: the transaction is there with the next one that waits. The log keeps their order, so a cut of power takes it
   * only with all that came after it. A crash of the process alone takes nothing. Default false.
   */
  readonly isDeferred?: boolean | undefined;
}

/** Runs synchronous work in a transaction. */
export function inTransaction<T>(database: DatabaseSync, work: () => T, options: TransactionOptions = {}): T {
  if (options.isDeferred) database.exec('PRAGMA synchronous = NORMAL'); // of a log: synced by checkpoints alone (sqlite.org/pragma.html)
  try {
    database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      database.exec('COMMIT');
      return result;
    } catch (error) {
      database.exec('ROLLBACK');
      throw error;
    }
  } finally {
    if (options.isDeferred) database.exec('PRAGMA synchronous = FULL');
  }
}
