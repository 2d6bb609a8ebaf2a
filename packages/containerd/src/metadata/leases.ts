/** Leases and what they hold. A resource is entered in the transaction that makes it, so the collector sees both or none. */
import { leases } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { labelKeys } from '@boxship/image-store';
import type { Database } from './database.ts';
import { RecordTable } from './record-table.ts';

export class LeaseTable {
  readonly #database: Database;
  readonly records: RecordTable<leases.Lease>;

  constructor(database: Database) {
    this.#database = database;
    this.records = new RecordTable(database, 'lease', leases.Lease);
  }

  /** @throws notFound */
  get(namespace: string, id: string): leases.Lease {
    const lease = this.records.get(namespace, id);
    if (lease === undefined) throw new BoxshipError('notFound', `lease "${id}"`);
    return lease;
  }

  /** Puts a resource under the lease of the current call, if it has one. @throws notFound for an unknown lease */
  hold(namespace: string, lease: string | undefined, type: string, resource: string): void {
    if (lease === undefined) return;
    if (this.records.get(namespace, lease) === undefined) throw new BoxshipError('notFound', 'lease does not exist');
    this.addResource(namespace, lease, type, resource);
  }

  /** Refuses early what {@link hold} would refuse late. */
  check(namespace: string, lease: string | undefined): void {
    if (lease !== undefined && this.records.get(namespace, lease) === undefined)
      throw new BoxshipError('notFound', 'lease does not exist');
  }

  addResource(namespace: string, lease: string, type: string, resource: string): void {
    this.#database
      .prepare('INSERT OR IGNORE INTO lease_resources (namespace, lease, type, resource) VALUES (?, ?, ?, ?)')
      .run(namespace, lease, type, resource);
  }

  deleteResource(namespace: string, lease: string, type: string, resource: string): void {
    this.#database
      .prepare('DELETE FROM lease_resources WHERE namespace = ? AND lease = ? AND type = ? AND resource = ?')
      .run(namespace, lease, type, resource);
  }

  resources(namespace: string, lease: string): { type: string; resource: string }[] {
    return this.#database
      .prepare('SELECT type, resource FROM lease_resources WHERE namespace = ? AND lease = ? ORDER BY type, resource')
      .all(namespace, lease) as { type: string; resource: string }[];
  }

  create(namespace: string, lease: leases.Lease): void {
    const enter = (): void => this.records.put(namespace, lease.id, lease);
    this.#database.transaction(enter, { isDeferred: isOfOneOperation(lease) });
  }

  /** `isWaitedFor`: nothing is deferred. @throws notFound */
  delete(namespace: string, id: string, options: { readonly isWaitedFor?: boolean } = {}): void {
    const lease = this.get(namespace, id);
    const remove = (): void => {
      this.records.delete(namespace, id);
      this.#database.prepare('DELETE FROM lease_resources WHERE namespace = ? AND lease = ?').run(namespace, id);
    };
    this.#database.transaction(remove, { isDeferred: options.isWaitedFor !== true && isOfOneOperation(lease) });
  }
}

/**
 * A lease that ends by itself is there for one pull or build, which a cut of power ends too. What it holds is entered after it, and is
 * not on the disk before it; one that comes back holds nothing for long.
 */
const isOfOneOperation = (lease: leases.Lease): boolean => lease.labels[labelKeys.gcExpire] !== undefined;
