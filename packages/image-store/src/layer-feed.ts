/**
 * A layer's bytes for who unpacks it while it is downloaded: first what the ingest holds, then what comes, in the end the blob. It
 * reads behind the writer, so that neither waits for the other, an ingest that was resumed is read from its start, and a reader may
 * come late. Nothing is verified here: who reads must not keep what it made before the blob is in the store.
 */
import type { ArchiveReader } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import type { Descriptor } from '@boxship/oci';
import { blobReader } from './content/blob-reader.ts';
import type { ContentProvider, ContentWriter } from './content/store.ts';

/** Fewer bytes are waited for, unless they are the last: each piece costs a round through the pool. */
const worthReading = 512 * 1024;
/**
 * So much must have come before somebody begins to work on it: a small layer is there whole before that pays, and a download that
 * is cut at once is not slowed down by work that is lost with it.
 */
const worthBeginning = 4 * 1024 * 1024;

export class LayerFeed {
  readonly #content: ContentProvider;
  readonly #descriptor: Descriptor;
  #writer: ContentWriter | undefined;
  /** Counts ingests: one that failed its check is dropped and begun anew. */
  #generation = 0;
  #wasDropped = false;
  #size = 0;
  #attachedAt = 0;
  #state: 'waiting' | 'growing' | 'stored' = 'waiting';
  #changed = Promise.withResolvers<void>();

  constructor(content: ContentProvider, descriptor: Descriptor) {
    this.#content = content;
    this.#descriptor = descriptor;
  }

  /** Whether bytes were given out that turned out to be wrong. */
  get wasDropped(): boolean {
    return this.#wasDropped;
  }

  /** A writer was opened, with the bytes of earlier attempts. */
  attach(writer: ContentWriter): void {
    this.#generation++;
    this.#writer = writer;
    this.#size = writer.status().offset;
    this.#attachedAt = this.#size;
    if (writer.readAt !== undefined) this.#state = 'growing';
    this.#wake();
  }

  /** So many bytes are there by now. */
  grow(size: number): void {
    const isWorthIt = size - this.#size >= worthReading || size === this.#descriptor.size;
    if (!isWorthIt) return;
    this.#size = size;
    this.#wake();
  }

  /** The bytes were wrong, and go. */
  drop(): void {
    this.#generation++;
    this.#wasDropped = true;
    this.#writer = undefined;
    this.#state = 'waiting';
    this.#wake();
  }

  /** The blob is in the store. */
  stored(): void {
    this.#state = 'stored';
    this.#wake();
  }

  /** Waits until something has come that is worth reading, or the blob. @throws the signal's reason */
  async begun(signal?: AbortSignal): Promise<void> {
    const { size } = this.#descriptor;
    while (
      this.#state === 'waiting' ||
      (this.#state === 'growing' && this.#size < size && this.#size - this.#attachedAt < worthBeginning)
    )
      await this.#next(signal);
  }

  /** The bytes from the start. Reading throws aborted when they are dropped, the signal's reason, and what the stores throw. */
  reader(signal?: AbortSignal): ArchiveReader {
    const generation = this.#generation;
    const { size } = this.#descriptor;
    let at = 0;
    let blob: ArchiveReader | undefined;
    const readInto = async (room: Uint8Array): Promise<number> => {
      while (at < size || size === 0) {
        signal?.throwIfAborted();
        if (this.#state === 'stored') {
          blob ??= await blobReader(this.#content, this.#descriptor, { offset: at, signal });
          return await blob.readInto(room);
        }
        if (generation !== this.#generation)
          throw new BoxshipError('aborted', `ingest of ${this.#descriptor.digest} was dropped`);
        const { promise } = this.#changed;
        const got = at < this.#size ? await this.#readAt(room.subarray(0, this.#size - at), at) : 0;
        at += got;
        if (got > 0) return got;
        if (promise === this.#changed.promise) await this.#next(signal); // else something has changed meanwhile
      }
      return 0;
    };
    return { readInto, [Symbol.asyncDispose]: async () => await blob?.[Symbol.asyncDispose]() };
  }

  /** Nothing when the writer has ended meanwhile. */
  async #readAt(room: Uint8Array, at: number): Promise<number> {
    try {
      return (await this.#writer?.readAt?.(room, at)) ?? 0;
    } catch (error) {
      if (!BoxshipError.is(error, 'failedPrecondition')) throw error;
      return 0;
    }
  }

  async #next(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const wake = this.#changed;
    const onAbort = (): void => wake.resolve();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await wake.promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
    signal?.throwIfAborted();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
