/**
 * The contract of a content store: immutable bytes by digest, and the writers that put them there. Drivers: `FsContentStore`,
 * `MemoryContentStore`, containerd's metadata layer, and the gRPC proxy of containerd-client. The suite
 * `@boxship/image-store/testsuite/content` holds for all of them.
 *
 * Vocabulary
 *   blob     immutable bytes, named by their digest, with labels
 *   ref      the caller's name for a write in progress, unique in the store; one writer at a time
 *   ingest   the bytes written under a ref so far; it survives its writer and the process
 *   commit   verification of size and digest, after which the ingest is a blob
 *   deferred what a store need not put on the disk by itself: the next thing that it does put there carries it along. A cut of power
 *            before takes it, a crash of the process does not. For steps of something larger whose end is not deferred
 *
 * Life cycle
 *   writer(ref) ── write… ── commit ──▶ blob ── delete ──▶ gone
 *        │                     └─ alreadyExists: somebody else committed the same digest; use that one
 *        └─ close without commit: the ingest stays and `writer(ref)` resumes at `status().offset`; `abort(ref)` drops it
 *
 * Example: store a download, resuming an earlier attempt
 *   await using writer = await store.writer({ ref: `layer-${digest}`, total: size, expected: digest });
 *   for await (const chunk of download(writer.status().offset)) await writer.write(chunk);
 *   await writer.commit({ size, expected: digest, labels });
 *
 * Labels are where garbage collection finds edges: `containerd.io/gc.ref.content.<x>` = digest,
 * `containerd.io/gc.ref.snapshot.<snapshotter>` = snapshot name.
 *
 * Errors by kind: notFound (`content digest sha256:…`, `reference r`), alreadyExists (`content sha256:…`),
 * unavailable (ref locked by another writer), outOfRange (write at another offset, read past the end),
 * failedPrecondition (size or digest differ at commit), invalidArgument (empty ref, bad label or field path).
 */
import type { FilterPredicate } from '@boxship/base';
import type { Descriptor, Digest } from '@boxship/oci';

export interface ContentInfo {
  readonly digest: Digest;
  readonly size: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

/** Names a blob; the size of a descriptor is only a hint. */
export type ContentName = Pick<Descriptor, 'digest'> & Partial<Pick<Descriptor, 'size'>>;

/** Random access to one blob. Holds a file descriptor or a connection: dispose of it. */
export interface ContentReader extends AsyncDisposable {
  readonly size: number;
  /** Fills `buffer` from `offset` and returns the bytes read, fewer than asked only at the end of the blob. */
  readAt(buffer: Uint8Array, offset: number): Promise<number>;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  /** First byte; default 0. */
  readonly offset?: number;
  /** Bytes to read; default all. */
  readonly length?: number;
}

export interface ContentProvider {
  /** @throws notFound */
  info(digest: Digest): Promise<ContentInfo>;
  /** @throws notFound */
  readerAt(name: ContentName): Promise<ContentReader>;
  /** The bytes in order, in chunks that the caller may keep. @throws notFound on the first step, outOfRange */
  read(name: ContentName, options?: ReadOptions): AsyncIterable<Uint8Array>;
}

export interface IngestStatus {
  readonly ref: string;
  /** Bytes held. */
  readonly offset: number;
  /** Bytes announced; 0 when unknown. */
  readonly total: number;
  readonly expected?: Digest;
  readonly startedAt: Date;
  readonly updatedAt: Date;
}

export interface WriterOptions {
  readonly ref: string;
  /** Bytes expected in the end; another total than that of an unfinished ingest starts it over. */
  readonly total?: number;
  /** When the blob is there already, opening fails with alreadyExists. */
  readonly expected?: Digest;
  /**
   * Write although a blob of this digest is there, which was found to have other bytes: the commit replaces it, at one moment, so that
   * who has it listed never finds nothing. Local drivers only.
   */
  readonly isReplacement?: boolean;
  /** Labels of the future blob, as in {@link CommitOptions}. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The lease that shall protect the ingest and the blob. A store without leases ignores it. */
  readonly lease?: string;
}

export interface CommitOptions {
  /** Verified when given and not 0. */
  readonly size?: number;
  /** Verified when given. */
  readonly expected?: Digest;
  readonly labels?: Readonly<Record<string, string>>;
  /** That the blob is listed, with its labels, is deferred; its bytes are not. Default false; stores may pass it over. */
  readonly isDeferred?: boolean | undefined;
}

/** Disposal ends the writer and unlocks its ref; the ingest stays unless it was committed. */
export interface ContentWriter extends AsyncDisposable {
  status(): IngestStatus;
  /** The digest of the bytes so far (sha256, or the algorithm of `expected`). */
  digest(): Digest;
  /** Appends. The bytes may be reused after the promise has settled. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Reads bytes that were written, also before this writer, for whom it is of use to work on them while more come. Nothing about
   * them is verified before the commit. Absent in drivers that are far from the bytes.
   */
  readAt?(buffer: Uint8Array, offset: number): Promise<number>;
  /** Cuts the ingest back; only to 0 is promised by every driver. */
  truncate(size: number): Promise<void>;
  /** Makes the blob durable and visible, in this order. @throws alreadyExists, failedPrecondition */
  commit(options?: CommitOptions): Promise<Digest>;
}

export interface ContentIngester {
  /** Opens a ref for writing. @throws unavailable when it is open elsewhere, alreadyExists when `expected` is there */
  writer(options: WriterOptions): Promise<ContentWriter>;
}

export interface IngestManager {
  /** @throws notFound (`reference r`) */
  status(ref: string): Promise<IngestStatus>;
  /** All ingests, or those whose fields (`ref`) match. */
  statuses(filter?: FilterPredicate): AsyncIterable<IngestStatus>;
  /** Drops an ingest. @throws notFound */
  abort(ref: string): Promise<void>;
}

export interface ContentUpdate {
  readonly digest: Digest;
  readonly labels: Readonly<Record<string, string>>;
  /** Label keys to change (the value undefined in `labels` removes the label); absent = replace all labels. */
  readonly fields?: readonly string[];
  /** Default false; stores may pass it over. */
  readonly isDeferred?: boolean | undefined;
}

export interface ContentManager {
  /** Blobs whose fields (`digest`, `size`, `labels.…`) match. Blobs that vanish meanwhile are left out. */
  walk(filter?: FilterPredicate): AsyncIterable<ContentInfo>;
  /** @throws notFound */
  update(update: ContentUpdate): Promise<ContentInfo>;
  /** @throws notFound */
  delete(digest: Digest): Promise<void>;
}

export interface ContentStore extends ContentProvider, ContentIngester, IngestManager, ContentManager {}
