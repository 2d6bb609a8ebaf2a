/**
 * The content store as one namespace sees it: the bytes are shared below, which blob is visible is a row here. A blob that
 * another namespace has already is not sent again: its writer opens complete and only the commit is left (containerd's
 * "shared" policy). Before that its bytes are read: if they have changed they are written anew, for both.
 */
import { fromTimestamp, nowTimestamp, toTimestamp, content as wire } from '@boxship/api';
import { BoxshipError, type FilterPredicate } from '@boxship/base';
import {
  type CommitOptions,
  type ContentInfo,
  type ContentName,
  type ContentReader,
  type ContentStore,
  type ContentUpdate,
  type ContentWriter,
  checkLabels,
  contentFields,
  type IngestStatus,
  isIntact,
  type ReadOptions,
  updatedLabels,
  type WriterOptions,
} from '@boxship/image-store';
import { type Digest, Digester, digestAlgorithm } from '@boxship/oci';
import type { Database } from './database.ts';
import type { LeaseTable } from './leases.ts';

export interface ContentTableOptions {
  readonly database: Database;
  readonly leases: LeaseTable;
  readonly backend: ContentStore;
  /** Called after each change, for the schedule of garbage collection. */
  readonly onMutation: () => void;
}

/** Blobs of all namespaces; {@link ContentTable.in} gives the store of one. */
export class ContentTable {
  readonly options: ContentTableOptions;
  /** Digests whose bytes somebody relies on without a row, and how many do: not garbage. */
  readonly #pending = new Map<string, number>();
  readonly #removals = new Map<string, Promise<void>>();

  constructor(options: ContentTableOptions) {
    this.options = options;
  }

  in(namespace: string): ContentStore {
    return new NamespacedContentStore(this, namespace);
  }

  row(namespace: string, digest: string): wire.Info | undefined {
    const row = this.options.database
      .prepare('SELECT record FROM blobs WHERE namespace = ? AND digest = ?')
      .get(namespace, digest) as { record: Uint8Array } | undefined;
    return row === undefined ? undefined : wire.Info.decode(row.record);
  }

  rows(namespace: string): wire.Info[] {
    const rows = this.options.database
      .prepare('SELECT record FROM blobs WHERE namespace = ? ORDER BY digest')
      .all(namespace);
    return (rows as { record: Uint8Array }[]).map((row) => wire.Info.decode(row.record));
  }

  /** True when some namespace has the blob, or is about to. */
  isListed(digest: string): boolean {
    if (this.#pending.has(digest)) return true;
    return this.options.database.prepare('SELECT 1 FROM blobs WHERE digest = ? LIMIT 1').get(digest) !== undefined;
  }

  /** Until disposal the bytes are not garbage, whether they are there or about to be. A removal under way ends first. */
  async hold(digest: string): Promise<Disposable> {
    for (let removal = this.#removals.get(digest); removal !== undefined; removal = this.#removals.get(digest))
      await removal;
    this.#pending.set(digest, (this.#pending.get(digest) ?? 0) + 1);
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        const left = (this.#pending.get(digest) ?? 1) - 1;
        if (left === 0) this.#pending.delete(digest);
        else this.#pending.set(digest, left);
      },
    };
  }

  /** Frees bytes that no namespace lists; false when one does. */
  async removeUnlisted(digest: Digest): Promise<boolean> {
    if (this.isListed(digest)) return false;
    const removal = this.options.backend.delete(digest).catch((error: unknown) => {
      if (!BoxshipError.is(error, 'notFound')) throw error;
    });
    this.#removals.set(
      digest,
      removal.catch(() => {}), // the failure belongs to whoever removes
    );
    try {
      await removal;
    } finally {
      this.#removals.delete(digest);
    }
    return true;
  }

  put(namespace: string, info: wire.Info): void {
    this.options.database
      .prepare('INSERT OR REPLACE INTO blobs (namespace, digest, record) VALUES (?, ?, ?)')
      .run(namespace, info.digest, wire.Info.encode(info).finish());
  }
}

class NamespacedContentStore implements ContentStore {
  readonly #table: ContentTable;
  readonly #namespace: string;

  constructor(table: ContentTable, namespace: string) {
    this.#table = table;
    this.#namespace = namespace;
  }

  async info(digest: Digest): Promise<ContentInfo> {
    return toContentInfo(this.#row(digest));
  }

  async readerAt(name: ContentName): Promise<ContentReader> {
    this.#row(name.digest);
    return await this.#backend.readerAt(name);
  }

  async *read(name: ContentName, options?: ReadOptions): AsyncIterable<Uint8Array> {
    this.#row(name.digest);
    yield* this.#backend.read(name, options);
  }

  async writer(options: WriterOptions): Promise<ContentWriter> {
    const { database, leases } = this.#table.options;
    if (options.ref === '') throw new BoxshipError('invalidArgument', 'ref must not be empty');
    leases.check(this.#namespace, options.lease);
    this.#refuseListed(options);
    const shared = options.expected === undefined ? undefined : await this.#sharedBlob(options.expected, options.total);
    const below = isShared(shared) ? undefined : await this.#backend.writer(this.#below(options, shared === 'changed'));
    try {
      this.#refuseListed(options); // another writer may have brought it while this one was opened
      const enter = () => {
        database
          .prepare('INSERT OR REPLACE INTO ingests (namespace, ref, expected, started_ms) VALUES (?, ?, ?, ?)')
          .run(this.#namespace, options.ref, options.expected ?? '', Date.now());
        leases.hold(this.#namespace, options.lease, 'ingests', options.ref);
      };
      database.transaction(enter, { isDeferred: true }); // the bytes to come are not synced before the commit either
    } catch (error) {
      if (isShared(shared)) shared.held[Symbol.dispose]();
      await below?.[Symbol.asyncDispose]();
      throw error;
    }
    const commit: CommitRow = (digest, size, { labels, isDeferred }) => {
      // who finds the blob listed has ended its ingest too: a row that stayed would keep the blob for a day
      const list = () => {
        const isNew = this.#table.row(this.#namespace, digest) === undefined;
        const now = nowTimestamp();
        if (isNew)
          this.#table.put(this.#namespace, {
            digest,
            size: BigInt(size),
            createdAt: now,
            updatedAt: now,
            labels: { ...options.labels, ...labels },
          });
        leases.hold(this.#namespace, options.lease, 'content', digest);
        this.#dropIngest(options.ref);
        return isNew;
      };
      const isNew = database.transaction(list, { isDeferred });
      this.#table.options.onMutation();
      if (!isNew) throw new BoxshipError('alreadyExists', `content ${digest}`);
    };
    return isShared(shared)
      ? new SharedWriter(options, shared.blob, shared.held, commit)
      : new NamespacedWriter(this.#table, options, below as ContentWriter, commit);
  }

  async status(ref: string): Promise<IngestStatus> {
    return { ...(await this.#backend.status(this.#refBelow(ref))), ref };
  }

  async *statuses(filter?: FilterPredicate): AsyncIterable<IngestStatus> {
    const prefix = this.#refBelow('');
    for await (const status of this.#backend.statuses()) {
      if (!status.ref.startsWith(prefix)) continue;
      const ref = status.ref.slice(prefix.length);
      if (filter === undefined || filter((path) => (path[0] === 'ref' ? ref : undefined))) yield { ...status, ref };
    }
  }

  async abort(ref: string): Promise<void> {
    this.#dropIngest(ref);
    await this.#backend.abort(this.#refBelow(ref));
  }

  async *walk(filter?: FilterPredicate): AsyncIterable<ContentInfo> {
    for (const row of this.#table.rows(this.#namespace)) {
      const info = toContentInfo(row);
      if (filter === undefined || filter(contentFields(info))) yield info;
    }
  }

  async update(update: ContentUpdate): Promise<ContentInfo> {
    const change = () => {
      const current = this.#row(update.digest);
      const labels = updatedLabels(current.labels, update.labels, update.fields);
      checkLabels(labels);
      const next = { ...current, labels, updatedAt: nowTimestamp() };
      this.#table.put(this.#namespace, next);
      return next;
    };
    const row = this.#table.options.database.transaction(change, update);
    this.#table.options.onMutation();
    return toContentInfo(row);
  }

  async delete(digest: Digest): Promise<void> {
    const { changes } = this.#table.options.database
      .prepare('DELETE FROM blobs WHERE namespace = ? AND digest = ?')
      .run(this.#namespace, digest);
    if (changes === 0) throw new BoxshipError('notFound', `content digest ${digest}`);
    this.#table.options.onMutation(); // the bytes go with the next collection, when no namespace lists them
  }

  get #backend(): ContentStore {
    return this.#table.options.backend;
  }

  #row(digest: Digest): wire.Info {
    const row = this.#table.row(this.#namespace, digest);
    if (row === undefined) throw new BoxshipError('notFound', `content digest ${digest}`);
    return row;
  }

  #refuseListed({ expected, lease }: WriterOptions): void {
    if (expected === undefined || this.#table.row(this.#namespace, expected) === undefined) return;
    this.#table.options.leases.hold(this.#namespace, lease, 'content', expected);
    throw new BoxshipError('alreadyExists', `content ${expected}`);
  }

  #refBelow(ref: string): string {
    return `${this.#namespace}/${ref}`;
  }

  #below(options: WriterOptions, isReplacement: boolean): WriterOptions {
    const { lease: _ours, labels: _stored, ...rest } = options;
    return { ...rest, ref: this.#refBelow(options.ref), isReplacement };
  }

  /**
   * The blob as another namespace has it, held until the writer is disposed of. What no namespace lists is garbage, and goes now
   * instead of being trusted; what has changed on the disk is to be replaced.
   */
  async #sharedBlob(digest: Digest, total: number | undefined): Promise<SharedBlob | 'changed' | undefined> {
    if (await this.#table.removeUnlisted(digest)) return undefined;
    using stack = new DisposableStack();
    const held = stack.use(await this.#table.hold(digest));
    try {
      const blob = await this.#backend.info(digest);
      if (((total ?? 0) !== 0 && blob.size !== total) || !(await isIntact(this.#backend, { digest }))) return 'changed';
      stack.move();
      return { blob, held };
    } catch (error) {
      if (BoxshipError.is(error, 'notFound')) return undefined;
      throw error;
    }
  }

  #dropIngest(ref: string): void {
    const { database } = this.#table.options;
    database.prepare('DELETE FROM ingests WHERE namespace = ? AND ref = ?').run(this.#namespace, ref);
    database
      .prepare(`DELETE FROM lease_resources WHERE namespace = ? AND type = 'ingests' AND resource = ?`)
      .run(this.#namespace, ref);
  }
}

interface SharedBlob {
  readonly blob: ContentInfo;
  readonly held: Disposable;
}

const isShared = (found: SharedBlob | 'changed' | undefined): found is SharedBlob =>
  found !== undefined && found !== 'changed';

type CommitRow = (digest: Digest, size: number, options: CommitOptions) => void;

/** Writes below, then makes the row. */
class NamespacedWriter implements ContentWriter {
  readonly #table: ContentTable;
  readonly #options: WriterOptions;
  readonly #below: ContentWriter;
  readonly #commitRow: CommitRow;
  readonly readAt?: (buffer: Uint8Array, offset: number) => Promise<number>;

  constructor(table: ContentTable, options: WriterOptions, below: ContentWriter, commitRow: CommitRow) {
    this.#table = table;
    this.#options = options;
    this.#below = below;
    this.#commitRow = commitRow;
    if (below.readAt !== undefined) this.readAt = below.readAt.bind(below);
  }

  status = (): IngestStatus => ({ ...this.#below.status(), ref: this.#options.ref });
  digest = (): Digest => this.#below.digest();
  write = (bytes: Uint8Array): Promise<void> => this.#below.write(bytes);
  truncate = (size: number): Promise<void> => this.#below.truncate(size);

  async commit(options: CommitOptions = {}): Promise<Digest> {
    const size = this.#below.status().offset;
    const digest = this.#below.digest();
    using _held = await this.#table.hold(digest);
    try {
      await this.#below.commit(options);
    } catch (error) {
      // another namespace has brought the same bytes meanwhile: they are there, which is what was asked for
      if (!BoxshipError.is(error, 'alreadyExists')) throw error;
    }
    this.#commitRow(digest, size, options);
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#below[Symbol.asyncDispose]();
  }
}

/**
 * A writer for bytes that are in the store already: complete from the start. Who sends them all the same starts over; they are
 * compared with what is there.
 */
class SharedWriter implements ContentWriter {
  readonly #options: WriterOptions;
  readonly #blob: ContentInfo;
  readonly #commitRow: CommitRow;
  readonly #held: Disposable;
  readonly #startedAt = new Date();
  #sent: Digester | undefined;

  constructor(options: WriterOptions, blob: ContentInfo, held: Disposable, commitRow: CommitRow) {
    this.#options = options;
    this.#blob = blob;
    this.#held = held;
    this.#commitRow = commitRow;
  }

  status(): IngestStatus {
    const { size, digest } = this.#blob;
    return {
      ref: this.#options.ref,
      offset: this.#sent?.size ?? size,
      total: size,
      expected: digest,
      startedAt: this.#startedAt,
      updatedAt: this.#startedAt,
    };
  }

  digest = (): Digest => this.#sent?.digest() ?? this.#blob.digest;

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#sent === undefined || this.#sent.size + bytes.length > this.#blob.size)
      throw new BoxshipError('outOfRange', `content ${this.#blob.digest} is complete: nothing can be written`);
    this.#sent.update(bytes);
  }

  async truncate(size: number): Promise<void> {
    if (size !== 0) throw new BoxshipError('unimplemented', 'truncation to a size other than 0');
    this.#sent = new Digester(digestAlgorithm(this.#blob.digest));
  }

  async commit(options: CommitOptions = {}): Promise<Digest> {
    const { digest, size } = this.#blob;
    if (options.size !== undefined && options.size > 0 && options.size !== size)
      throw new BoxshipError(
        'failedPrecondition',
        `${this.#options.ref} failed size validation: ${size} != ${options.size}`,
      );
    const sent = this.digest();
    if (sent !== (options.expected ?? digest) || sent !== digest)
      throw new BoxshipError(
        'failedPrecondition',
        `unexpected commit digest ${sent}, expected ${options.expected ?? digest}`,
      );
    this.#commitRow(digest, size, options);
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#held[Symbol.dispose]();
  }
}

function toContentInfo(row: wire.Info): ContentInfo {
  const date = (time: wire.Info['createdAt']) => new Date(Number(fromTimestamp(time ?? toTimestamp(0n)) / 1_000_000n));
  return {
    digest: row.digest as Digest,
    size: Number(row.size),
    createdAt: date(row.createdAt),
    updatedAt: date(row.updatedAt),
    labels: row.labels,
  };
}
