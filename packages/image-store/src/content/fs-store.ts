/**
 * A content store in a directory, in containerd's layout:
 *
 *   <root>/blobs/<algorithm>/<hex>        a blob, mode 0444
 *   <root>/ingest/<sha256 of ref>/        one write in progress: data, ref, total, startedat, updatedat
 *
 * A blob appears by one rename after its data has been verified and synced, so that what stands under a digest has it.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { type FileHandle, open, readdir, readFile, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxshipError, type FilterPredicate, type Logger, makeDirectorySync, silentLogger } from '@boxship/base';
import { type Digest, digestAlgorithm, digestHex, isDigest } from '@boxship/oci';
import { checkLabels, updatedLabels } from '../labels.ts';
import { beyondEnd, checkRef, contentExists, contentNotFound, refNotFound } from './errors.ts';
import { contentFields, ingestFields } from './fields.ts';
import { FsContentWriter, type IngestPaths, prepareIngest } from './fs-writer.ts';
import type { LabelStore } from './label-store.ts';
import { RefLocks } from './ref-locks.ts';
import type {
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

export interface FsContentStoreOptions {
  readonly root: string;
  /** Default: none; labels are then refused by nobody and remembered by nobody. */
  readonly labels?: LabelStore;
  readonly log?: Logger;
}

const readBytes = 1024 * 1024;

export class FsContentStore implements ContentStore, Disposable {
  readonly #root: string;
  readonly #labels: LabelStore | undefined;
  readonly #log: Logger;
  readonly #locks = new RefLocks();

  constructor(options: FsContentStoreOptions) {
    this.#root = options.root;
    this.#labels = options.labels;
    this.#log = options.log ?? silentLogger;
    for (const directory of ['blobs/sha256', 'ingest']) makeDirectorySync(join(this.#root, directory), 0o700);
    this.#recover();
  }

  /** An ingest without data was interrupted while it was begun, or after its data had become a blob: nothing is lost with it. */
  #recover(): void {
    for (const name of readdirSync(join(this.#root, 'ingest'))) {
      const directory = join(this.#root, 'ingest', name);
      if (!existsSync(join(directory, 'data'))) rmSync(directory, { recursive: true, force: true });
    }
  }

  async info(digest: Digest): Promise<ContentInfo> {
    const found = await this.#info(digest);
    if (found === undefined) throw contentNotFound(digest);
    return found;
  }

  async readerAt(name: ContentName): Promise<ContentReader> {
    const handle = await this.#open(name.digest);
    const { size } = await handle.stat();
    return {
      size,
      readAt: async (buffer, offset) => (offset >= size ? 0 : readFully(handle, buffer, offset)),
      [Symbol.asyncDispose]: () => handle.close(),
    };
  }

  async *read(name: ContentName, options: ReadOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    await using reader = await this.readerAt(name);
    const start = options.offset ?? 0;
    if (start > reader.size) throw beyondEnd(start, reader.size);
    const end = Math.min(reader.size, start + (options.length ?? reader.size));
    for (let at = start; at < end; ) {
      options.signal?.throwIfAborted();
      const buffer = Buffer.allocUnsafe(Math.min(readBytes, end - at));
      const got = await reader.readAt(buffer, at);
      if (got === 0) throw new BoxshipError('dataLoss', `content ${name.digest} is shorter than its size`);
      at += got;
      yield buffer.subarray(0, got);
    }
  }

  async writer(options: WriterOptions): Promise<ContentWriter> {
    const ref = checkRef(options.ref);
    checkLabels(options.labels ?? {});
    const { expected, isReplacement = false } = options;
    if (expected !== undefined && !isReplacement && (await this.#info(expected)) !== undefined)
      throw contentExists(expected);
    const lock = this.#locks.acquire(ref);
    try {
      const ingest = await prepareIngest(this.#ingestPaths(ref), options);
      return new FsContentWriter({
        ...ingest,
        lock,
        options,
        blobPath: (digest) => this.#blobPath(digest),
        onCommitted: (digest, labels) => this.#labels?.set(digest, labels),
      });
    } catch (error) {
      lock[Symbol.dispose]();
      throw error;
    }
  }

  async status(ref: string): Promise<IngestStatus> {
    const found = await readStatus(this.#ingestPaths(checkRef(ref)).directory);
    if (found === undefined) throw refNotFound(ref);
    return found;
  }

  async *statuses(filter: FilterPredicate = () => true): AsyncGenerator<IngestStatus, void, undefined> {
    for (const name of await readdir(join(this.#root, 'ingest'))) {
      const status = await readStatus(join(this.#root, 'ingest', name));
      if (status !== undefined && filter(ingestFields(status))) yield status;
    }
  }

  async abort(ref: string): Promise<void> {
    const { directory } = this.#ingestPaths(checkRef(ref));
    if ((await readStatus(directory)) === undefined) throw refNotFound(ref);
    await rm(directory, { recursive: true, force: true });
  }

  async *walk(filter: FilterPredicate = () => true): AsyncGenerator<ContentInfo, void, undefined> {
    for (const algorithm of await readdir(join(this.#root, 'blobs'))) {
      for (const hex of await readdir(join(this.#root, 'blobs', algorithm))) {
        const digest = `${algorithm}:${hex}`;
        if (!isDigest(digest)) {
          this.#log.warn('foreign file in the content store', { path: join(algorithm, hex) });
          continue;
        }
        const info = await this.#info(digest);
        if (info !== undefined && filter(contentFields(info))) yield info;
      }
    }
  }

  async update(update: ContentUpdate): Promise<ContentInfo> {
    const info = await this.info(update.digest);
    const labels = updatedLabels(info.labels, update.labels, update.fields);
    checkLabels(labels);
    if (this.#labels === undefined) throw new BoxshipError('unimplemented', 'update of content without a label store');
    this.#labels.set(update.digest, labels);
    return await this.info(update.digest);
  }

  async delete(digest: Digest): Promise<void> {
    try {
      await unlink(this.#blobPath(digest));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw contentNotFound(digest);
      throw error;
    }
    this.#labels?.delete(digest);
  }

  [Symbol.dispose](): void {
    this.#labels?.close();
  }

  async #info(digest: Digest): Promise<ContentInfo | undefined> {
    try {
      const found = await stat(this.#blobPath(digest));
      const kept = this.#labels?.get(digest);
      return {
        digest,
        size: found.size,
        createdAt: found.mtime,
        updatedAt: kept?.updatedAt ?? found.mtime,
        labels: kept?.labels ?? {},
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async #open(digest: Digest): Promise<FileHandle> {
    try {
      return await open(this.#blobPath(digest), 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw contentNotFound(digest);
      throw error;
    }
  }

  #blobPath(digest: Digest): string {
    return join(this.#root, 'blobs', digestAlgorithm(digest), digestHex(digest));
  }

  #ingestPaths(ref: string): IngestPaths {
    const directory = join(this.#root, 'ingest', createHash('sha256').update(ref).digest('hex'));
    return { directory, data: join(directory, 'data') };
  }
}

async function readFully(handle: FileHandle, buffer: Uint8Array, offset: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

async function readStatus(directory: string): Promise<IngestStatus | undefined> {
  const text = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  try {
    const [ref, data] = await Promise.all([text('ref'), stat(join(directory, 'data'))]);
    const started = await text('startedat').catch(() => ''); // an interrupted start: the data file's times do
    const total = await text('total').catch(() => '0');
    return {
      ref,
      offset: data.size,
      total: Number(total) || 0,
      startedAt: started === '' ? data.birthtime : new Date(started),
      updatedAt: data.mtime,
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
