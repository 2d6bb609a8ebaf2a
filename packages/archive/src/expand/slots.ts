/**
 * Bytes on their way from one thread to another in slots of shared memory: only numbers and lengths are sent as messages, and each
 * slot comes back when it was read, which is the flow control. Nothing is allocated on the way.
 */

export interface SharedSlots {
  readonly memory: SharedArrayBuffer;
  readonly slotBytes: number;
}

export function sharedSlots(count: number, slotBytes: number): SharedSlots {
  return { memory: new SharedArrayBuffer(count * slotBytes), slotBytes };
}

export const viewOf = ({ memory, slotBytes }: SharedSlots, slot: number, length = slotBytes): Buffer =>
  Buffer.from(memory, slot * slotBytes, length);

/** The side that fills slots. */
export class SlotWriter {
  readonly #slots: SharedSlots;
  readonly #send: (slot: number, length: number) => void;
  readonly #free: number[];
  #wake: PromiseWithResolvers<void> | undefined;
  #error: unknown;
  #slot: { readonly number: number; readonly bytes: Buffer } | undefined;
  #filled = 0;
  /** Sees the bytes of each slot before it is sent. */
  onFull: (bytes: Buffer) => void = () => {};

  constructor(slots: SharedSlots, send: (slot: number, length: number) => void) {
    this.#slots = slots;
    this.#send = send;
    this.#free = Array.from({ length: slots.memory.byteLength / slots.slotBytes }, (_, slot) => slot);
  }

  /** A slot was read. */
  freed(slot: number): void {
    this.#free.push(slot);
    this.#wake?.resolve();
  }

  /** Nobody reads any more: whoever waits for room, now or later, gets the error. */
  fail(error: unknown): void {
    this.#error = error;
    this.#wake?.resolve();
  }

  /** Where the next bytes go; never empty. */
  async room(): Promise<Buffer> {
    while (this.#slot === undefined) {
      if (this.#error !== undefined) throw this.#error;
      const number = this.#free.pop(); // the last one to come back: its memory is in the cache, that of others may not exist yet
      if (number !== undefined) this.#slot = { number, bytes: viewOf(this.#slots, number) };
      else {
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
      }
    }
    return this.#filled === 0 ? this.#slot.bytes : this.#slot.bytes.subarray(this.#filled);
  }

  /** So many bytes were put where {@link room} said. */
  advance(length: number): void {
    this.#filled += length;
    if (this.#filled === this.#slots.slotBytes) this.flush();
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      const room = await this.room();
      const piece = bytes.subarray(at, at + room.length);
      room.set(piece);
      at += piece.length;
      this.advance(piece.length);
    }
  }

  flush(): void {
    if (this.#slot === undefined || this.#filled === 0) return;
    this.onFull(this.#slot.bytes.subarray(0, this.#filled));
    this.#send(this.#slot.number, this.#filled);
    this.#slot = undefined;
    this.#filled = 0;
  }
}

/** The side that reads slots one after the other. */
export class SlotReader {
  readonly #slots: SharedSlots;
  readonly #free: (slot: number) => void;
  readonly #waiting: { readonly slot: number; readonly length: number }[] = [];
  #wake: PromiseWithResolvers<void> | undefined;
  #isOver = false;
  #error: unknown;

  constructor(slots: SharedSlots, free: (slot: number) => void) {
    this.#slots = slots;
    this.#free = free;
  }

  filled(slot: number, length: number): void {
    this.#waiting.push({ slot, length });
    this.#wake?.resolve();
  }

  end(): void {
    this.#isOver = true;
    this.#wake?.resolve();
  }

  fail(error: unknown): void {
    this.#error = error;
    this.#wake?.resolve();
  }

  /** Each piece is valid until the next one is asked for. */
  async *pieces(): AsyncGenerator<Buffer, void, undefined> {
    for (;;) {
      if (this.#error !== undefined) throw this.#error;
      const next = this.#waiting.shift();
      if (next !== undefined) {
        yield viewOf(this.#slots, next.slot, next.length);
        this.#free(next.slot);
      } else if (this.#isOver) return;
      else {
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
      }
    }
  }
}
