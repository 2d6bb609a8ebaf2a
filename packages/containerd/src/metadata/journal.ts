/**
 * A second record of the metadata beside the database: `<root>/meta.journal`, every change since the last start as SQLite's
 * changesets, before them one that makes the whole. Should the database be damaged, names come back from here; a file of
 * another shape, written in another way, does not share its fate.
 *
 * A record is length (u32, big endian), CRC-32 of the bytes (u32), bytes. Records after the first damaged one are not used.
 * It is not synced: it matters only when the database is lost, and a tail that a power cut took is what that cut took.
 */
import { closeSync, fstatSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { constants, DatabaseSync, type Session } from 'node:sqlite';
import { crc32 } from 'node:zlib';

const headerBytes = 8;
/** A journal this much larger than its first record is written anew. */
const growthBytes = 8 * 1024 * 1024;

export class MetadataJournal implements Disposable {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #schema: readonly string[];
  #session: Session;
  #fd: number;
  #rewriteAt: number;
  #isScheduled = false;

  /** Begins a new journal of what the database at `databasePath` holds. */
  constructor(database: DatabaseSync, databasePath: string, path: string, schema: readonly string[]) {
    this.#database = database;
    this.#path = path;
    this.#schema = schema;
    this.#fd = writeWhole(databasePath, path, schema);
    this.#rewriteAt = fstatSync(this.#fd).size + growthBytes;
    this.#session = database.createSession();
  }

  /** What was committed is written down; nothing happens inside of a transaction. */
  flush(): void {
    const changes = this.#session.changeset();
    if (changes.length === 0) return;
    this.#session.close();
    this.#session = this.#database.createSession();
    append(this.#fd, changes);
    if (fstatSync(this.#fd).size > this.#rewriteAt) this.#rewrite();
  }

  /** {@link flush}, once what runs now has ended. */
  schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#database.isOpen && !this.#database.isTransaction) this.flush();
    });
  }

  [Symbol.dispose](): void {
    this.flush();
    this.#session.close();
    closeSync(this.#fd);
  }

  #rewrite(): void {
    closeSync(this.#fd);
    this.#fd = writeWhole(this.#database.location() ?? '', this.#path, this.#schema);
    this.#rewriteAt = fstatSync(this.#fd).size + growthBytes;
  }
}

/** Applies what a journal has to a new database. Returns how many records could be used. */
export function replayJournal(database: DatabaseSync, path: string): number {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  let count = 0;
  for (let at = 0; at + headerBytes <= bytes.length; ) {
    const end = at + headerBytes + bytes.readUInt32BE(at);
    const record = bytes.subarray(at + headerBytes, end);
    if (end > bytes.length || crc32(record) !== bytes.readUInt32BE(at + 4)) break;
    database.applyChangeset(record, { onConflict: resolveConflict });
    count++;
    at = end;
  }
  return count;
}

function resolveConflict(kind: number): number {
  const isReplaceable = kind === constants.SQLITE_CHANGESET_DATA || kind === constants.SQLITE_CHANGESET_CONFLICT;
  return isReplaceable ? constants.SQLITE_CHANGESET_REPLACE : constants.SQLITE_CHANGESET_OMIT;
}

function append(fd: number, record: Uint8Array): void {
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(record.length, 0);
  header.writeUInt32BE(crc32(record), 4);
  writeSync(fd, Buffer.concat([header, record]));
}

/** A journal with one record: all there is. Replaces the one before only when it is complete. */
function writeWhole(databasePath: string, path: string, schema: readonly string[]): number {
  const copy = new DatabaseSync(':memory:');
  try {
    for (const statements of schema) copy.exec(statements);
    const session = copy.createSession();
    copy.prepare('ATTACH DATABASE ? AS source').run(databasePath);
    const tables = copy
      .prepare(`SELECT name FROM source.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
      .all() as { name: string }[];
    for (const { name } of tables) copy.exec(`INSERT OR IGNORE INTO main."${name}" SELECT * FROM source."${name}"`);
    const temporary = `${path}.new`;
    const fd = openSync(temporary, 'w', 0o600);
    const whole = session.changeset();
    if (whole.length > 0) append(fd, whole);
    renameSync(temporary, path);
    return fd;
  } finally {
    copy.close();
  }
}
