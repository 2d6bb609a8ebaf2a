/**
 * The daemon's SQLite file: WAL, one writer. A file that SQLite cannot read is moved aside and reported; starting with an
 * empty engine and saying nothing would be a lie, refusing to start would lose the running containers.
 */
import { chmodSync, mkdirSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Logger } from '@boxship/base';

const schema = `
  CREATE TABLE IF NOT EXISTS containers (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS volumes (
    name TEXT PRIMARY KEY,
    record TEXT NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
  ) STRICT;
`;

export function openDatabase(path: string, log: Logger): DatabaseSync {
  mkdirSync(dirname(path), { recursive: true, mode: 0o710 });
  try {
    return open(path);
  } catch (error) {
    const aside = `${path}.corrupt-${Date.now()}`;
    log.error('database is unreadable and was moved aside', { error, path, aside });
    renameSync(path, aside);
    return open(path);
  }
}

function open(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  // NORMAL: a power cut may lose the last transactions, never the file; a killed process loses nothing
  database.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=5000;');
  database.exec(schema);
  const check = database.prepare('PRAGMA quick_check(1)').get() as { quick_check?: string } | undefined;
  if (check?.quick_check !== 'ok') {
    database.close();
    throw new Error(`integrity check: ${check?.quick_check ?? 'no answer'}`);
  }
  chmodSync(path, 0o600);
  return database;
}
