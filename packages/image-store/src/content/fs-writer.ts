/**
 * One write in progress of {@link FsContentStore}: bytes are hashed as they come, and committed in the order that survives a
 * power cut: data fsync, rename, directory fsync, then labels.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { BoxshipError, makeDirectorySync } from '@boxship/base';
import type { Digest, Digester } from '@boxship/oci';
import { checkLabels } from '../labels.ts';
import { contentExists, wrongDigest, wrongSize } from './errors.ts';
import { digesterFor, rehash } from './ingest-hash.ts';
import type { CommitOptions, ContentWriter, IngestStatus, WriterOptions } from './store.ts';

export interface IngestPaths {
  readonly directory: string;
  readonly data: string;
}

interface Ingest {
  readonly paths: IngestPaths;
  readonly handle: FileHandle;
  readonly digester: Digester;
  readonly startedAt: Date;
  readonly total: number;
}

/** Opens the ingest of a ref: the one that is there, unless it was meant to have another size, or a new one. */
export async function prepareIngest(paths: IngestPaths, options: WriterOptions): Promise<Ingest> {
  const known = await knownTotal(paths);
  const total = options.total ?? 0;
  if (known !== undefined && total !== 0 && known !== 0 && known !== total)
    await rm(paths.directory, { recursive: true, force: true });
  else if (known !== undefined) {
    const startedAt = new Date(await readFile(`${paths.directory}/startedat`, 'utf8'));
    const digester = await rehash(paths.data, options.expected);
    return { paths, handle: await open(paths.data, 'r+'), digester, startedAt, total: total || known };
  }
  await rm(paths.directory, { recursive: true, force: true }); // what an interrupted start left
  const startedAt = new Date();
  await mkdir(paths.directory, { mode: 0o755 });
  const facts = { ref: options.ref, startedat: startedAt.toISOString(), updatedat: startedAt.toISOString(), total };
  await Promise.all(Object.entries(facts).map(([name, fact]) => writeFile(`${paths.directory}/${name}`, `${fact}`)));
  return {
    paths,
    handle: await open(paths.data, 'wx+', 0o600),
    digester: digesterFor(options.expected),
    startedAt,
    total,
  };
}

/** The announced size of an ingest that can be resumed; undefined when there is none. */
async function knownTotal(paths: IngestPaths): Promise<number | undefined> {
  try {
    await stat(paths.data);
    await stat(`${paths.directory}/startedat`);
    return Number(await readFile(`${paths.directory}/total`, 'utf8')) || 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

export interface FsContentWriterParts extends Ingest {
  readonly lock: Disposable;
  readonly options: WriterOptions;
  readonly blobPath: (digest: Digest) => string;
  readonly onCommitted: (digest: Digest, labels: Readonly<Record<string, string>>) => void;
}

export class FsContentWriter implements ContentWriter {
  readonly #parts: FsContentWriterParts;
  #digester: Digester;
  #offset: number;
  #updatedAt: Date;
  #isOpen = true;

  constructor(parts: FsContentWriterParts) {
    this.#parts = parts;
    this.#digester = parts.digester;
    this.#offset = parts.digester.size;
    this.#updatedAt = parts.startedAt;
  }

  status(): IngestStatus {
    const { options, startedAt, total } = this.#parts;
    return {
      ref: options.ref,
      offset: this.#offset,
      total,
      ...(options.expected === undefined ? {} : { expected: options.expected }),
      startedAt,
      updatedAt: this.#updatedAt,
    };
  }

  digest(): Digest {
    return this.#digester.digest();
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    for (let at = 0; at < bytes.length; ) {
      const { bytesWritten } = await this.#parts.handle.write(bytes, at, bytes.length - at, this.#offset + at);
      at += bytesWritten;
    }
    this.#digester.update(bytes);
    this.#offset += bytes.length;
    this.#updatedAt = new Date();
  }

  async readAt(buffer: Uint8Array, offset: number): Promise<number> {
    this.#checkOpen();
    const length = Math.min(buffer.length, this.#offset - offset);
    return length <= 0 ? 0 : (await this.#parts.handle.read(buffer, 0, length, offset)).bytesRead;
  }

  async truncate(size: number): Promise<void> {
    this.#checkOpen();
    if (size !== 0) throw new BoxshipError('unimplemented', 'truncation to a size other than 0');
    await this.#parts.handle.truncate(0);
    this.#digester = digesterFor(this.#parts.options.expected);
    this.#offset = 0;
  }

  async commit(options: CommitOptions = {}): Promise<Digest> {
    this.#checkOpen();
    const { handle, paths, blobPath } = this.#parts;
    const labels = { ...this.#parts.options.labels, ...options.labels };
    checkLabels(labels);
    const expected = options.expected ?? this.#parts.options.expected;
    const size = options.size ?? 0;
    if (size !== 0 && size !== this.#offset) throw wrongSize(this.#offset, size);
    const digest = this.#digester.digest();
    if (expected !== undefined && digest !== expected) throw wrongDigest(digest, expected);
    const blob = blobPath(digest);
    if (existsSync(blob) && this.#parts.options.isReplacement !== true) {
      await this.#end();
      await rm(paths.directory, { recursive: true, force: true });
      throw contentExists(digest);
    }
    await handle.chmod(0o444);
    await handle.sync();
    makeDirectorySync(dirname(blob), 0o700);
    await rename(paths.data, blob);
    await syncDirectory(dirname(blob));
    this.#parts.onCommitted(digest, labels);
    await this.#end();
    await rm(paths.directory, { recursive: true, force: true });
    return digest;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end();
  }

  async #end(): Promise<void> {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    try {
      await this.#parts.handle.close();
    } finally {
      this.#parts.lock[Symbol.dispose]();
    }
  }

  #checkOpen(): void {
    if (!this.#isOpen)
      throw new BoxshipError('failedPrecondition', `writer of ref ${this.#parts.options.ref} is closed`);
  }
}

/** Makes names durable, on a pool thread: this is a wait for the disk. */
async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
