/**
 * Commits of snapshots under way. A commit changes two databases, ours and the snapshotter's; the intent stands here before the
 * one below changes, so that a crash in between neither loses the snapshot nor leaves it under a name that nobody knows.
 */
import { nowTimestamp, snapshots as wire } from '@boxship/api';
import type { TransactionOptions } from '@boxship/image-store';
import type { Database } from './database.ts';
import type { LeaseTable } from './leases.ts';

/** What is needed of the table of snapshots. */
interface SnapshotRows {
  readonly options: { readonly database: Database; readonly leases: LeaseTable; readonly name: string };
  row(namespace: string, key: string): { readonly parent: string } | undefined;
  put(namespace: string, key: string, backend: string, parent: string, info: wire.Info): void;
  remove(namespace: string, key: string): void;
}

export interface SnapshotCommit {
  readonly namespace: string;
  readonly key: string;
  /** The name that the key becomes. */
  readonly name: string;
  /** Its name below. */
  readonly backend: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly lease: string | undefined;
}

interface Row {
  readonly namespace: string;
  readonly key: string;
  readonly name: string;
  readonly backend: string;
  readonly labels: string;
  readonly lease: string;
}

/** A record as it is when a snapshot is made. Name, parent and kind are columns or known below. */
export function newRecord(labels: { [key: string]: string }): wire.Info {
  const now = nowTimestamp();
  return { name: '', parent: '', kind: wire.Kind.UNKNOWN, createdAt: now, updatedAt: now, labels };
}

export class SnapshotCommits {
  readonly #table: SnapshotRows;

  constructor(table: SnapshotRows) {
    this.#table = table;
  }

  begin({ namespace, key, name, backend, labels, lease }: SnapshotCommit, options?: TransactionOptions): void {
    const { database, name: snapshotter } = this.#table.options;
    const enter = () =>
      database
        .prepare(
          `INSERT OR REPLACE INTO snapshot_commits (namespace, snapshotter, key, name, backend, labels, lease)
           VALUES (?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(namespace, snapshotter, key, name, backend, JSON.stringify(labels), lease ?? '');
    database.transaction(enter, options);
  }

  drop(namespace: string, key: string): void {
    this.#table.options.database
      .prepare('DELETE FROM snapshot_commits WHERE namespace = ? AND snapshotter = ? AND key = ?')
      .run(namespace, this.#table.options.name, key);
  }

  /** The snapshotter has done it: our rows follow. */
  finish(namespace: string, key: string, options?: TransactionOptions): void {
    const { database, leases, name: snapshotter } = this.#table.options;
    const enter = () => {
      const commit = this.open().find((one) => one.namespace === namespace && one.key === key);
      const row = this.#table.row(namespace, key);
      this.drop(namespace, key);
      if (commit === undefined || row === undefined) return;
      this.#table.remove(namespace, key);
      this.#table.put(namespace, commit.name, commit.backend, row.parent, newRecord({ ...commit.labels }));
      // a lease that has ended meanwhile no longer protects anything
      if (commit.lease !== undefined && leases.records.get(namespace, commit.lease) !== undefined)
        leases.addResource(namespace, commit.lease, `snapshots/${snapshotter}`, commit.name);
    };
    database.transaction(enter, options);
  }

  open(): SnapshotCommit[] {
    const rows = this.#table.options.database
      .prepare('SELECT namespace, key, name, backend, labels, lease FROM snapshot_commits WHERE snapshotter = ?')
      .all(this.#table.options.name) as unknown as Row[];
    return rows.map(({ labels, lease, ...rest }) => ({
      ...rest,
      labels: JSON.parse(labels) as Record<string, string>,
      lease: lease === '' ? undefined : lease,
    }));
  }
}
