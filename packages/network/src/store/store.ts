/**
 * The durable side of the controller. Sandboxes need to survive the process, not the machine (a reboot voids them): their
 * commits are not synced. Networks are a promise to the user: their commits are.
 */
import { mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { BoxshipError, type Logger } from '@boxship/base';
import type { PublishedPort } from '../controller.ts';
import type { NetworkRecord, SandboxRecord } from '../model.ts';
import { Mirror } from './mirror.ts';
import { schema, schemaVersion } from './schema.ts';

export class Store implements Disposable {
  readonly #db: DatabaseSync;
  readonly #mirror: Mirror;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(db: DatabaseSync, mirror: Mirror) {
    this.#db = db;
    this.#mirror = mirror;
  }

  /**
   * Opens `network.db` in the state directory. A database that cannot be read is put aside and made again from the copies of
   * its records; the log says so.
   * @throws unavailable when another controller has it open, failedPrecondition when a newer version wrote it
   */
  static open(directories: { readonly state: string; readonly run: string }, log: Logger): Store {
    mkdirSync(directories.state, { recursive: true, mode: 0o710 });
    const mirror = new Mirror(directories, log);
    const path = join(directories.state, 'network.db');
    let db: DatabaseSync;
    try {
      db = openDatabase(path);
    } catch (error) {
      if (BoxshipError.is(error)) throw error;
      return Store.#remake(path, mirror, log, error);
    }
    const store = new Store(db, mirror);
    mirror.sandboxes.rewrite(store.sandboxes().filter(({ state }) => state === 'ready'));
    return store;
  }

  static #remake(path: string, mirror: Mirror, log: Logger, error: unknown): Store {
    const aside = `${path}.corrupt-${Date.now()}`;
    for (const suffix of ['', '-wal', '-shm']) putAside(`${path}${suffix}`, `${aside}${suffix}`);
    const store = new Store(openDatabase(path), mirror);
    const networks = mirror.networks();
    const sandboxes = mirror.sandboxes.read();
    mirror.sandboxes.rewrite(sandboxes);
    for (const record of networks) store.saveNetwork(record);
    for (const record of sandboxes) store.saveSandbox(record);
    log.error('network database is damaged: put aside and made again from the copies of its records', {
      aside,
      networks: networks.length,
      sandboxes: sandboxes.length,
      error,
    });
    return store;
  }

  meta(key: string): string | undefined {
    return this.#get('SELECT value FROM meta WHERE key = ?', key)?.['value'] as string | undefined;
  }

  setMeta(key: string, value: string): void {
    this.#durably(() =>
      this.#run('INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value', key, value),
    );
  }

  deleteMeta(key: string): void {
    this.#durably(() => this.#run('DELETE FROM meta WHERE key = ?', key));
  }

  networks(): NetworkRecord[] {
    return this.#all('SELECT state, document FROM network').map((row) => ({
      state: row['state'] as NetworkRecord['state'],
      network: JSON.parse(row['document'] as string),
    }));
  }

  saveNetwork(record: NetworkRecord): void {
    const { network } = record;
    this.#durably(() =>
      this.#run(
        'INSERT INTO network VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document',
        network.id,
        network.spec.name,
        record.state,
        JSON.stringify(network),
      ),
    );
    if (record.state === 'ready') this.#mirror.saveNetwork(record);
  }

  deleteNetwork(id: string): void {
    this.#mirror.deleteNetwork(id);
    this.#durably(() => this.#run('DELETE FROM network WHERE id = ?', id));
  }

  sandboxes(): SandboxRecord[] {
    return this.#all('SELECT state, document FROM sandbox').map((row) => ({
      ...JSON.parse(row['document'] as string),
      state: row['state'] as SandboxRecord['state'],
    }));
  }

  /**
   * The record with its endpoints and ports, as one transaction.
   * @param before as it is in the store: then only what differs is written
   */
  saveSandbox(record: SandboxRecord, before?: SandboxRecord): void {
    const { id } = record.spec;
    this.#transaction(() => {
      this.#run(
        'INSERT INTO sandbox VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document',
        id,
        record.state,
        JSON.stringify(record),
      );
      if (before?.endpoints !== record.endpoints) this.#saveEndpoints(record);
      if (before === undefined) this.#run('DELETE FROM port WHERE sandbox = ?', id);
      const removed = without(before?.ports ?? [], record.ports);
      for (const { protocol, hostIp, hostPort } of removed)
        this.#run(
          'DELETE FROM port WHERE protocol = ? AND address = ? AND number = ? AND sandbox = ?',
          ...[protocol, hostIp, hostPort, id],
        );
      const added = without(record.ports, before?.ports ?? []);
      for (const { protocol, hostIp, hostPort } of added)
        this.#run('INSERT INTO port VALUES (?, ?, ?, ?)', protocol, hostIp, hostPort, id);
    });
    if (record.state === 'ready') this.#mirror.sandboxes.save(record);
  }

  #saveEndpoints({ spec: { id }, endpoints }: SandboxRecord): void {
    this.#run('DELETE FROM endpoint WHERE sandbox = ?', id);
    for (const { endpoint } of endpoints)
      this.#run(
        'INSERT INTO endpoint VALUES (?, ?, ?, ?, ?)',
        endpoint.id,
        id,
        endpoint.networkId,
        endpoint.ipv4Address || null,
        endpoint.ipv6Address || null,
      );
  }

  /** The record is whole now: endpoints and ports are in the store already. */
  setSandboxReady(record: SandboxRecord): void {
    this.#run('UPDATE sandbox SET state = ? WHERE id = ?', 'ready', record.spec.id);
    this.#mirror.sandboxes.save(record);
  }

  setSandboxDeleting(id: string): void {
    this.#mirror.sandboxes.delete(id);
    this.#run('UPDATE sandbox SET state = ? WHERE id = ?', 'deleting', id);
  }

  deleteSandbox(id: string): void {
    this.#run('DELETE FROM sandbox WHERE id = ?', id);
  }

  [Symbol.dispose](): void {
    this.#mirror[Symbol.dispose]();
    this.#db.close();
  }

  #durably(work: () => void): void {
    this.#db.exec('PRAGMA synchronous = FULL');
    try {
      work();
    } finally {
      this.#db.exec('PRAGMA synchronous = NORMAL');
    }
  }

  #transaction(work: () => void): void {
    this.#run('BEGIN IMMEDIATE');
    try {
      work();
      this.#run('COMMIT');
    } catch (error) {
      this.#run('ROLLBACK');
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    const statement = this.#statements.get(sql) ?? this.#db.prepare(sql);
    this.#statements.set(sql, statement);
    return statement;
  }

  #run(sql: string, ...values: readonly (string | number | null)[]): void {
    this.#prepare(sql).run(...values);
  }

  #get(sql: string, ...values: readonly string[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...values);
  }

  #all(sql: string): Record<string, unknown>[] {
    return this.#prepare(sql).all();
  }
}

/** The ports that the others are not. One without a number takes none of the host. */
function without(ports: readonly PublishedPort[], others: readonly PublishedPort[]): PublishedPort[] {
  const keyOf = ({ protocol, hostIp, hostPort }: PublishedPort): string => `${protocol} ${hostIp} ${hostPort}`;
  const known = new Set(others.map(keyOf));
  return ports.filter((port) => port.hostPort !== 0 && !known.has(keyOf(port)));
}

function putAside(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function openDatabase(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { enableForeignKeyConstraints: true });
  try {
    // held by the kernel for the life of the process: a second controller is refused, a killed one leaves no lock
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.exec('PRAGMA journal_mode = WAL');
    db.exec('BEGIN IMMEDIATE; COMMIT');
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
    if (version > schemaVersion)
      throw new BoxshipError(
        'failedPrecondition',
        `${path} was written by a newer version (${version}); this one knows ${schemaVersion}`,
      );
    const check = db.prepare('PRAGMA quick_check').get()?.['quick_check'];
    if (check !== 'ok') throw new Error(String(check));
    db.exec(schema);
    db.exec(`PRAGMA user_version = ${schemaVersion}; PRAGMA synchronous = NORMAL`);
    db.prepare('SELECT document FROM network')
      .all()
      .every((row) => JSON.parse(row['document'] as string));
    return db;
  } catch (error) {
    db.close();
    // SQLITE_BUSY 5: the lock is held
    if ((error as { errcode?: number }).errcode === 5)
      throw new BoxshipError('unavailable', `another network controller has ${path} open`, { cause: error });
    throw error;
  }
}
