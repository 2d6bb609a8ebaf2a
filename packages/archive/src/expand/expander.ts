/**
 * The program part of the thread that expands: compressed pieces come in slots of one shared memory, what they hold goes out, hashed,
 * in slots of another one. Asynchronous, since it waits for both sides.
 */
import { Digester } from '@boxship/oci';
import { decompress, detectCompression, outputGuard, peek } from '../compression.ts';
import type { ArchiveLimits } from '../limits.ts';
import { GzipInflater } from './inflater.ts';
import { type SharedSlots, SlotReader, type SlotWriter } from './slots.ts';

/** Gives back what was read, and tells how many bytes went out so far. */
export type Freed = (slot: number, expandedBytes: number) => void;

export class Expander {
  readonly input: SlotReader;
  readonly #output: SlotWriter;
  readonly #limits: ArchiveLimits;
  readonly #digester = new Digester();

  constructor(options: { input: SharedSlots; output: SlotWriter; limits: ArchiveLimits; onFreed: Freed }) {
    this.input = new SlotReader(options.input, (slot) => options.onFreed(slot, this.#digester.size));
    this.#output = options.output;
    this.#limits = options.limits;
    this.#output.onFull = (bytes) => this.#digester.update(bytes);
  }

  /** @throws invalidArgument (damaged), resourceExhausted (bomb), unimplemented, cancelled */
  async run() {
    const { head, whole } = await peek(this.input.pieces());
    const kind = detectCompression(head);
    using inflater = kind === 'gzip' ? GzipInflater.open() : undefined;
    if (inflater !== undefined) await this.#inflate(whole, inflater);
    else if (kind === 'none') await this.#pass(whole);
    else for await (const bytes of decompress(copies(whole), this.#limits)) await this.#output.write(bytes);
    this.#output.flush();
    return { digest: this.#digester.digest(), size: this.#digester.size };
  }

  async #pass(pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const guard = outputGuard(this.#limits, 'none');
    for await (const bytes of pieces) {
      guard(bytes.length, bytes.length);
      await this.#output.write(bytes);
    }
  }

  async #inflate(pieces: AsyncIterable<Uint8Array>, inflater: GzipInflater): Promise<void> {
    const guard = outputGuard(this.#limits, 'gzip');
    for await (const bytes of pieces) {
      inflater.push(bytes);
      for (let taken = bytes.length; ; taken = 0) {
        const room = await this.#output.room();
        const got = inflater.next(room);
        guard(taken, got);
        this.#output.advance(got);
        if (got < room.length) break;
      }
    }
    inflater.finish();
  }
}

/** Streams of node:zlib read ahead: what they are given must be theirs. */
async function* copies(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const bytes of pieces) yield Buffer.from(bytes);
}
