/** Records of one kind, kept in their wire encoding, by namespace and key. */
import type { Database } from './database.ts';

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(input: Uint8Array): T;
}

export class RecordTable<T> {
  readonly #database: Database;
  readonly #kind: string;
  readonly #codec: Codec<T>;

  constructor(database: Database, kind: 'container' | 'image' | 'lease' | 'sandbox', codec: Codec<T>) {
    this.#database = database;
    this.#kind = kind;
    this.#codec = codec;
  }

  get(namespace: string, key: string): T | undefined {
    const row = this.#database
      .prepare('SELECT record FROM records WHERE kind = ? AND namespace = ? AND key = ?')
      .get(this.#kind, namespace, key) as { record: Uint8Array } | undefined;
    return row === undefined ? undefined : this.#codec.decode(row.record);
  }

  /** Inserts or replaces. */
  put(namespace: string, key: string, record: T): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO records (kind, namespace, key, record) VALUES (?, ?, ?, ?)')
      .run(this.#kind, namespace, key, this.#codec.encode(record).finish());
  }

  /** False when there was none. */
  delete(namespace: string, key: string): boolean {
    return (
      this.#database
        .prepare('DELETE FROM records WHERE kind = ? AND namespace = ? AND key = ?')
        .run(this.#kind, namespace, key).changes > 0
    );
  }

  /** In the order of keys. */
  list(namespace: string): T[] {
    const rows = this.#database
      .prepare('SELECT record FROM records WHERE kind = ? AND namespace = ? ORDER BY key')
      .all(this.#kind, namespace) as { record: Uint8Array }[];
    return rows.map((row) => this.#codec.decode(row.record));
  }
}
