/**
 * A layer's bytes for who unpacks it while it is downloaded: first what the ingest holds, then what comes, in the end the blob. It
 * reads behind the writer, so that neither waits for the other, an ingest that was resumed is read from its start, and a reader may
 * come late. Nothing is verified here: who reads must not keep what it made before the blob is in the store.
 */
import { BoxshipError } from '@boxship/base';
import type { Descriptor } from '@boxship/oci';
import type { ContentProvider, ContentWriter } from './content/store.ts';

const readBytes = 512 * 1024;
/** Fewer bytes are waited for, unless they are the last: each piece costs a round through the pool. */
const worthReading = 256 * 1024;
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

  /** Waits until there is something to read, or the blob. @throws the signal's reason */
  async begun(signal?: AbortSignal): Promise<void> {
    const { size } = this.#descriptor;
    while (
      this.#state === 'waiting' ||
      (this.#state === 'growing' && this.#size < size && this.#size - this.#attachedAt < worthBeginning)
    )
      await this.#next(signal);
  }

  /** Each piece is valid until the next one is asked for. @throws aborted when the bytes are dropped, the signal's reason, and what the stores throw */
  async *read(signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    const generation = this.#generation;
    const { size } = this.#descriptor;
    const buffer = Buffer.allocUnsafe(Math.min(readBytes, Math.max(size, 1))); // one for all: garbage of this size is collected at once
    for (let at = 0; at < size || size === 0; ) {
      signal?.throwIfAborted();
      if (this.#state === 'stored') {
        yield* this.#content.read(this.#descriptor, { offset: at, ...(signal === undefined ? {} : { signal }) });
        return;
      }
      if (generation !== this.#generation)
        throw new BoxshipError('aborted', `ingest of ${this.#descriptor.digest} was dropped`);
      const { promise } = this.#changed;
      const piece = at < this.#size ? await this.#piece(buffer, at) : undefined;
      if (piece !== undefined) {
        at += piece.length;
        yield piece;
      } else if (promise === this.#changed.promise) await this.#next(signal); // else something has changed meanwhile
    }
  }

  /** Undefined when the writer has ended meanwhile. */
  async #piece(buffer: Buffer, at: number): Promise<Uint8Array | undefined> {
    try {
      const got = (await this.#writer?.readAt?.(buffer.subarray(0, this.#size - at), at)) ?? 0;
      return got > 0 ? buffer.subarray(0, got) : undefined;
    } catch (error) {
      if (!BoxshipError.is(error, 'failedPrecondition')) throw error;
      return undefined;
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
