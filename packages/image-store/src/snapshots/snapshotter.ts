/**
 * The contract of a snapshotter: file system trees that grow layer by layer. Drivers: `OverlaySnapshotter`,
 * `NativeSnapshotter`, containerd's metadata layer, and the gRPC proxy of containerd-client. The suite
 * `@boxship/image-store/testsuite/snapshotter` holds for all of them.
 *
 * Vocabulary
 *   key        the name of an active snapshot or of a view: made by `prepare` or `view`, mounts can be had
 *   name       the name of a committed snapshot: immutable, has no mounts, may be a parent
 *   parent     the committed snapshot below; '' for none
 *   keys and names share one name space
 *
 * Life cycle
 *   prepare(key, parent) ─▶ active ── commit(name, key) ─▶ committed ── remove(name) ─▶ gone
 *   view(key, parent)    ─▶ view   ── remove(key) ─▶ gone
 *   `mounts(key)` answers the same for as long as the active snapshot or view lives; nobody mounts inside a snapshotter.
 *
 * Durability: what is committed is on the disk. Of a key with the label `containerd.io/snapshot.ref`, which is a layer that can be made of its
 * blob again, a cut of power may take the commit back, until something else than such a layer stands on it; never a part of it.
 *
 * Example: unpack a layer over `parent`
 *   const mounts = await snapshotter.prepare(key, parent);
 *   const layer = await applier.apply(descriptor, mounts);
 *   await snapshotter.commit(chainId, key);          // key is gone, chainId can be a parent
 *
 * Example: a container's root file system
 *   const mounts = await snapshotter.prepare(containerId, imageChainId);   // handed to the shim, which mounts them
 *   …
 *   await snapshotter.remove(containerId);
 *
 * Errors by kind: notFound (`snapshot k does not exist`, `parent snapshot p does not exist`), alreadyExists
 * (`snapshot k: already exists`), invalidArgument (parent not committed), failedPrecondition (commit of a view, mounts of a
 * committed snapshot, `cannot remove snapshot with child`), unimplemented (cleanup).
 * A failed `prepare`, `view` or `commit` leaves nothing behind, also after a crash.
 */
import type { FilterPredicate } from '@boxship/base';

/** One mount, to be made in the order given; `mountAll` makes it. */
export interface Mount {
  /** File system type, or `bind`. */
  readonly type: string;
  readonly source: string;
  /** In mount(8)'s words: `ro`, `rbind`, `lowerdir=/a:/b` … */
  readonly options: readonly string[];
  /** A path below the place where the set is mounted; absent = that place itself. */
  readonly target?: string;
}

export type SnapshotKind = 'active' | 'view' | 'committed';

export interface SnapshotInfo {
  readonly kind: SnapshotKind;
  /** Key or name. */
  readonly name: string;
  /** '' for none. */
  readonly parent: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

export interface SnapshotUsage {
  readonly inodes: number;
  /** Bytes of the snapshot's own changes, without its parents. */
  readonly sizeBytes: number;
}

export interface SnapshotOptions {
  readonly labels?: Readonly<Record<string, string>>;
  /** The lease that shall protect the snapshot. A snapshotter without leases ignores it. */
  readonly lease?: string;
}

export interface SnapshotUpdate {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Label keys to change; absent = replace all labels. */
  readonly fields?: readonly string[];
}

export interface Snapshotter {
  /** @throws notFound */
  stat(key: string): Promise<SnapshotInfo>;
  /** Changes labels; nothing else can be changed. @throws notFound */
  update(update: SnapshotUpdate): Promise<SnapshotInfo>;
  /** Of an active snapshot measured now, of a committed one as recorded at commit. @throws notFound */
  usage(key: string): Promise<SnapshotUsage>;
  /** @throws notFound, failedPrecondition for a committed snapshot */
  mounts(key: string): Promise<readonly Mount[]>;
  /** A writable snapshot over `parent` ('' = empty). @throws alreadyExists, notFound, invalidArgument */
  prepare(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]>;
  /** A read-only one. @throws as prepare */
  view(key: string, parent: string, options?: SnapshotOptions): Promise<readonly Mount[]>;
  /**
   * Turns the active snapshot `key` into the committed `name`. Labels of the key are not carried over.
   * @throws alreadyExists, notFound, failedPrecondition for a view
   */
  commit(name: string, key: string, options?: SnapshotOptions): Promise<void>;
  /** The data may go later (`cleanup`). @throws notFound, failedPrecondition when it has children */
  remove(key: string): Promise<void>;
  /** Snapshots whose fields (`kind`, `name`, `parent`, `labels.…`) match. */
  list(filter?: FilterPredicate): AsyncIterable<SnapshotInfo>;
  /** Frees what removed snapshots left behind. @throws unimplemented when removal frees at once */
  cleanup(): Promise<void>;
  close(): Promise<void>;
}
