/** A content store in memory: for tests, and for images that are built and pushed without touching a disk. */
import { BoxshipError, type FilterPredicate } from '@boxship/base';
import type { Digest, Digester } from '@boxship/oci';
import { checkLabels, updatedLabels } from '../labels.ts';
import { beyondEnd, checkRef, contentExists, contentNotFound, refNotFound, wrongDigest, wrongSize } from './errors.ts';
import { contentFields, ingestFields } from './fields.ts';
import { digesterFor } from './ingest-hash.ts';
import { RefLocks } from './ref-locks.ts';
import type {
  CommitOptions,
  ContentInfo,
  ContentName,
  ContentReader,
  ContentStore,
  ContentUpdate,
  ContentWriter,
  IngestStatus,
  ReadOptions,
  WriterOptions,
} from './store.ts';

interface Ingest {
  readonly ref: string;
  readonly total: number;
  readonly startedAt: Date;
  updatedAt: Date;
  chunks: Uint8Array[];
  digester: Digester;
}

interface Blob {
  readonly bytes: Uint8Array;
  info: ContentInfo;
}

export class MemoryContentStore implements ContentStore {
  readonly #blobs = new Map<Digest, Blob>();
  readonly #ingests = new Map<string, Ingest>();
  readonly #locks = new RefLocks();

  async info(digest: Digest): Promise<ContentInfo> {
    return this.#blob(digest).info;
  }

  async readerAt(name: ContentName): Promise<ContentReader> {
    const { bytes } = this.#blob(name.digest);
    return {
      size: bytes.length,
      readAt: async (buffer, offset) => {
        const piece = bytes.subarray(offset, offset + buffer.length);
        buffer.set(piece);
        return piece.length;
      },
      [Symbol.asyncDispose]: async () => {},
    };
  }

  async *read(name: ContentName, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const { bytes } = this.#blob(name.digest);
    const start = options.offset ?? 0;
    if (start > bytes.length) throw beyondEnd(start, bytes.length);
    const piece = bytes.slice(start, start + (options.length ?? bytes.length));
    if (piece.length > 0) yield piece;
  }

  async writer(options: WriterOptions): Promise<ContentWriter> {
    const ref = checkRef(options.ref);
    checkLabels(options.labels ?? {});
    if (options.expected !== undefined && options.isReplacement !== true && this.#blobs.has(options.expected))
      throw contentExists(options.expected);
    const lock = this.#locks.acquire(ref);
    const total = options.total ?? 0;
    let ingest = this.#ingests.get(ref);
    if (ingest === undefined || (total !== 0 && ingest.total !== 0 && ingest.total !== total)) {
      const now = new Date();
      ingest = { ref, total, startedAt: now, updatedAt: now, chunks: [], digester: digesterFor(options.expected) };
      this.#ingests.set(ref, ingest);
    }
    return this.#writer(ingest, options, lock);
  }

  async status(ref: string): Promise<IngestStatus> {
    const ingest = this.#ingests.get(checkRef(ref));
    if (ingest === undefined) throw refNotFound(ref);
    return statusOf(ingest);
  }

  async *statuses(filter: FilterPredicate = () => true): AsyncGenerator<IngestStatus, void, undefined> {
    for (const ingest of [...this.#ingests.values()]) {
      const status = statusOf(ingest);
      if (filter(ingestFields(status))) yield status;
    }
  }

  async abort(ref: string): Promise<void> {
    if (!this.#ingests.delete(checkRef(ref))) throw refNotFound(ref);
  }

  async *walk(filter: FilterPredicate = () => true): AsyncGenerator<ContentInfo, void, undefined> {
    for (const { info } of [...this.#blobs.values()]) if (filter(contentFields(info))) yield info;
  }

  async update(update: ContentUpdate): Promise<ContentInfo> {
    const blob = this.#blob(update.digest);
    const labels = updatedLabels(blob.info.labels, update.labels, update.fields);
    checkLabels(labels);
    blob.info = { ...blob.info, labels, updatedAt: new Date() };
    return blob.info;
  }

  async delete(digest: Digest): Promise<void> {
    if (!this.#blobs.delete(digest)) throw contentNotFound(digest);
  }

  #blob(digest: Digest): Blob {
    const blob = this.#blobs.get(digest);
    if (blob === undefined) throw contentNotFound(digest);
    return blob;
  }

  #writer(ingest: Ingest, options: WriterOptions, lock: Disposable): ContentWriter {
    let isOpen = true;
    const checkOpen = (): void => {
      if (!isOpen) throw new BoxshipError('failedPrecondition', `writer of ref ${ingest.ref} is closed`);
    };
    const end = (): void => {
      isOpen = false;
      lock[Symbol.dispose]();
    };
    return {
      status: () => ({
        ...statusOf(ingest),
        ...(options.expected === undefined ? {} : { expected: options.expected }),
      }),
      digest: () => ingest.digester.digest(),
      write: async (bytes) => {
        checkOpen();
        ingest.chunks.push(Uint8Array.from(bytes));
        ingest.digester.update(bytes);
        ingest.updatedAt = new Date();
      },
      truncate: async (size) => {
        checkOpen();
        if (size !== 0) throw new BoxshipError('unimplemented', 'truncation to a size other than 0');
        ingest.chunks = [];
        ingest.digester = digesterFor(options.expected);
      },
      commit: async (commit: CommitOptions = {}) => {
        checkOpen();
        const labels = { ...options.labels, ...commit.labels };
        checkLabels(labels);
        const size = ingest.digester.size;
        if (commit.size !== undefined && commit.size !== 0 && commit.size !== size) throw wrongSize(size, commit.size);
        const digest = ingest.digester.digest();
        const expected = commit.expected ?? options.expected;
        if (expected !== undefined && expected !== digest) throw wrongDigest(digest, expected);
        this.#ingests.delete(ingest.ref);
        end();
        if (this.#blobs.has(digest) && options.isReplacement !== true) throw contentExists(digest);
        const now = new Date();
        this.#blobs.set(digest, {
          bytes: Buffer.concat(ingest.chunks),
          info: { digest, size, createdAt: now, updatedAt: now, labels },
        });
        return digest;
      },
      [Symbol.asyncDispose]: async () => end(),
    };
  }
}

function statusOf(ingest: Ingest): IngestStatus {
  const { ref, total, startedAt, updatedAt } = ingest;
  return { ref, offset: ingest.digester.size, total, startedAt, updatedAt };
}
