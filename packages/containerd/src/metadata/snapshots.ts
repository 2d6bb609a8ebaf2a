/**
 * A snapshotter as one namespace sees it: keys and names are the namespace's own; below, each snapshot has a name of the form
 * `<namespace>/<sequence>/<key>`. Labels live here, kind, usage and mounts below.
 */
import { fromTimestamp, nowTimestamp, snapshots as wire } from '@boxship/api';
import { BoxshipError, type FilterPredicate } from '@boxship/base';
import {
  checkLabels,
  isImageLayer,
  labelKeys,
  type Mount,
  type SnapshotInfo,
  type SnapshotOptions,
  type Snapshotter,
  type SnapshotUpdate,
  type SnapshotUsage,
  snapshotFields,
  updatedLabels,
} from '@boxship/image-store';
import type { Database } from './database.ts';
import type { LeaseTable } from './leases.ts';
import { newRecord, SnapshotCommits } from './snapshot-commits.ts';

interface Row {
  readonly key: string;
  readonly backend: string;
  readonly parent: string;
  readonly record: Uint8Array;
}

export interface SnapshotTableOptions {
  readonly database: Database;
  readonly leases: LeaseTable;
  /** Name of the snapshotter: `overlayfs`. */
  readonly name: string;
  readonly backend: Snapshotter;
  readonly onMutation: () => void;
}

const blockSize = 256;

/** The snapshots of all namespaces in one snapshotter. */
export class SnapshotTable {
  readonly options: SnapshotTableOptions;
  /** Names below that are being made and have no row yet: not garbage. */
  readonly pending = new Set<string>();
  #nextNumber = 0;
  #numbersLeft = 0;

  readonly commits: SnapshotCommits;

  constructor(options: SnapshotTableOptions) {
    this.options = options;
    this.commits = new SnapshotCommits(this);
  }

  /** Ends the commits that a crash has cut off, and forgets what is not there below. To be called before anything else. */
  async recover(): Promise<void> {
    for (const { namespace, key, backend } of this.commits.open()) {
      try {
        await this.options.backend.stat(backend);
        this.commits.finish(namespace, key);
      } catch (error) {
        if (!BoxshipError.is(error, 'notFound')) throw error;
        this.commits.drop(namespace, key);
      }
    }
    const below = new Set<string>();
    for await (const { name } of this.options.backend.list()) below.add(name);
    for (const { namespace, key, backend } of this.#allRows()) if (!below.has(backend)) this.remove(namespace, key); // the snapshotter has said why
  }

  in(namespace: string): Snapshotter {
    return new NamespacedSnapshotter(this, namespace);
  }

  row(namespace: string, key: string): Row | undefined {
    return this.options.database
      .prepare('SELECT key, backend, parent, record FROM snapshots WHERE namespace = ? AND snapshotter = ? AND key = ?')
      .get(namespace, this.options.name, key) as Row | undefined;
  }

  rows(namespace: string): Row[] {
    return this.options.database
      .prepare(
        'SELECT key, backend, parent, record FROM snapshots WHERE namespace = ? AND snapshotter = ? ORDER BY key',
      )
      .all(namespace, this.options.name) as unknown as Row[];
  }

  #allRows(): (Row & { readonly namespace: string })[] {
    return this.options.database
      .prepare('SELECT namespace, key, backend, parent, record FROM snapshots WHERE snapshotter = ?')
      .all(this.options.name) as unknown as (Row & { readonly namespace: string })[];
  }

  put(namespace: string, key: string, backend: string, parent: string, info: wire.Info): void {
    this.options.database
      .prepare(
        'INSERT OR REPLACE INTO snapshots (namespace, snapshotter, key, backend, parent, record) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(namespace, this.options.name, key, backend, parent, wire.Info.encode(info).finish());
  }

  remove(namespace: string, key: string): void {
    this.options.database
      .prepare('DELETE FROM snapshots WHERE namespace = ? AND snapshotter = ? AND key = ?')
      .run(namespace, this.options.name, key);
  }

  /** Numbers are taken in blocks: one commit for many names. A crash leaves a gap, which nobody minds. */
  nextBackend(namespace: string, key: string): string {
    if (this.#numbersLeft === 0) {
      const row = this.options.database.prepare('UPDATE sequence SET next = next + ? RETURNING next').get(blockSize);
      this.#nextNumber = (row as { next: number }).next - blockSize;
      this.#numbersLeft = blockSize;
    }
    this.#numbersLeft--;
    return `${namespace}/${this.#nextNumber++}/${key}`;
  }
}

class NamespacedSnapshotter implements Snapshotter {
  readonly #table: SnapshotTable;
  readonly #namespace: string;

  constructor(table: SnapshotTable, namespace: string) {
    this.#table = table;
    this.#namespace = namespace;
  }

  async stat(key: string): Promise<SnapshotInfo> {
    return await this.#info(this.#row(key));
  }

  async update(update: SnapshotUpdate): Promise<SnapshotInfo> {
    const row = this.#table.options.database.transaction(() => {
      const current = this.#row(update.name);
      const info = wire.Info.decode(current.record);
      const labels = updatedLabels(info.labels, update.labels, update.fields);
      checkLabels(labels);
      this.#table.put(this.#namespace, current.key, current.backend, current.parent, {
        ...info,
        labels,
        updatedAt: nowTimestamp(),
      });
      return this.#row(update.name);
    });
    return await this.#info(row);
  }

  async usage(key: string): Promise<SnapshotUsage> {
    return await this.#backend.usage(this.#row(key).backend);
  }

  async mounts(key: string): Promise<readonly Mount[]> {
    return await this.#backend.mounts(this.#row(key).backend);
  }

  prepare(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]> {
    return this.#make('prepare', key, parent, options ?? {});
  }

  view(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]> {
    return this.#make('view', key, parent, options ?? {});
  }

  async commit(name: string, key: string, options: SnapshotOptions = {}): Promise<void> {
    this.#table.options.leases.check(this.#namespace, options.lease);
    checkLabels(options.labels ?? {});
    if (this.#table.row(this.#namespace, name) !== undefined)
      throw new BoxshipError('alreadyExists', `snapshot "${name}"`);
    const row = this.#row(key);
    const backend = this.#table.nextBackend(this.#namespace, name);
    this.#table.pending.add(backend);
    try {
      // two databases change one after the other: what is meant is written down first
      const commit = {
        namespace: this.#namespace,
        key,
        name,
        backend,
        labels: options.labels ?? {},
        lease: options.lease,
      };
      // a layer may go with the power, and its record with it
      const durability = { isDeferred: isImageLayer(wire.Info.decode(row.record).labels) };
      this.#commits.begin(commit, durability);
      try {
        await this.#backend.commit(backend, row.backend);
      } catch (error) {
        this.#commits.drop(this.#namespace, key);
        throw error;
      }
      this.#commits.finish(this.#namespace, key, durability);
    } finally {
      this.#table.pending.delete(backend);
    }
    this.#table.options.onMutation();
  }

  async remove(key: string): Promise<void> {
    const { database, name } = this.#table.options;
    const row = this.#row(key);
    const child = database
      .prepare('SELECT key FROM snapshots WHERE namespace = ? AND snapshotter = ? AND parent = ? LIMIT 1')
      .get(this.#namespace, name, key);
    if (child !== undefined) throw new BoxshipError('failedPrecondition', 'cannot remove snapshot with child');
    // the row goes first: a crash in between leaves garbage below, which the next collection finds
    this.#table.remove(this.#namespace, key);
    await this.#backend.remove(row.backend);
    this.#table.options.onMutation();
  }

  async *list(filter?: FilterPredicate): AsyncIterable<SnapshotInfo> {
    for (const row of this.#table.rows(this.#namespace)) {
      const info = await this.#info(row).catch((error: unknown) => {
        if (BoxshipError.is(error, 'notFound')) return undefined; // removed while the list was read
        throw error;
      });
      if (info !== undefined && (filter === undefined || filter(snapshotFields(info)))) yield info;
    }
  }

  cleanup(): Promise<void> {
    return this.#backend.cleanup();
  }

  async close(): Promise<void> {}

  get #commits(): SnapshotCommits {
    return this.#table.commits;
  }

  get #backend(): Snapshotter {
    return this.#table.options.backend;
  }

  #row(key: string): Row {
    const row = this.#table.row(this.#namespace, key);
    if (row === undefined) throw new BoxshipError('notFound', `snapshot ${key} does not exist`);
    return row;
  }

  async #info(row: Row): Promise<SnapshotInfo> {
    const below = await this.#backend.stat(row.backend);
    const record = wire.Info.decode(row.record);
    const date = (time: wire.Info['createdAt']) =>
      time === undefined ? new Date(0) : new Date(Number(fromTimestamp(time) / 1_000_000n));
    return {
      kind: below.kind,
      name: row.key,
      parent: row.parent,
      labels: record.labels,
      createdAt: date(record.createdAt),
      updatedAt: date(record.updatedAt),
    };
  }

  async #make(
    how: 'prepare' | 'view',
    key: string,
    parent: string,
    options: SnapshotOptions,
  ): Promise<readonly Mount[]> {
    const { database, leases } = this.#table.options;
    const labels = { ...options.labels };
    checkLabels(labels);
    leases.check(this.#namespace, options.lease);
    if (key === '') throw new BoxshipError('invalidArgument', 'snapshot key must not be empty');
    if (this.#table.row(this.#namespace, key) !== undefined)
      throw new BoxshipError('alreadyExists', `snapshot "${key}"`);
    let parentBelow = '';
    if (parent !== '') {
      const row = this.#table.row(this.#namespace, parent);
      if (row === undefined) throw new BoxshipError('notFound', `parent snapshot ${parent} does not exist`);
      parentBelow = row.backend;
    }
    const backend = this.#table.nextBackend(this.#namespace, key);
    const isInherited = (name: string) => name.startsWith('containerd.io/snapshot/') || name === labelKeys.snapshotRef;
    const inherited = Object.fromEntries(Object.entries(labels).filter(([name]) => isInherited(name)));
    this.#table.pending.add(backend);
    try {
      const mounts = await this.#backend[how](backend, parentBelow, { labels: inherited });
      const enter = () => {
        if (this.#table.row(this.#namespace, key) !== undefined)
          throw new BoxshipError('alreadyExists', `snapshot "${key}"`);
        this.#table.put(this.#namespace, key, backend, parent, newRecord(labels));
        leases.hold(this.#namespace, options.lease, `snapshots/${this.#table.options.name}`, key);
      };
      database.transaction(enter, { isDeferred: isImageLayer(labels) });
      this.#table.options.onMutation();
      return mounts;
    } finally {
      this.#table.pending.delete(backend); // without a row it is garbage from here on
    }
  }
}
