/**
 * Cuts a zstd stream into its frames, since the decoder of Node.js stops after the first one, while layers may have many
 * (zstd:chunked has one per file). Only the lengths are read here. Source: RFC 8878, sections 3.1.1 and 3.1.2.
 */
import { malformed } from './limits.ts';

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const dictionaryIdBytes = [0, 1, 2, 4];
const contentSizeBytes = [0, 2, 4, 8];

export class ZstdFrames implements AsyncDisposable {
  readonly #source: AsyncIterator<Uint8Array>;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Moves to the next data frame, over skippable ones; false at the end. @throws invalidArgument */
  async advance(): Promise<boolean> {
    for (;;) {
      if (!(await this.#fill(4))) {
        if (this.#buffer.every((byte) => byte === 0)) return false;
        throw malformed('damaged zstd data: unexpected end');
      }
      const magic = this.#buffer.readUInt32LE(0);
      if (magic === frameMagic) return true;
      if (magic === 0) return false; // padding
      if ((magic & 0xfffffff0) >>> 0 !== skippableMagic) throw malformed('damaged zstd data: unknown frame');
      await this.#need(8);
      let left = 8 + this.#buffer.readUInt32LE(4);
      while (left > 0) left -= (await this.#take(left)).length;
    }
  }

  /** The bytes of the frame moved to. */
  async *frame(): AsyncGenerator<Uint8Array, void, undefined> {
    await this.#need(5);
    const descriptor = this.#buffer[4] as number;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (contentSizeBytes[sizeFlag] as number);
    yield* this.#exactly(5 + (isSingleSegment ? 0 : 1) + (dictionaryIdBytes[descriptor & 3] as number) + sizeBytes);
    for (let isLast = false; !isLast; ) {
      await this.#need(3);
      const header = this.#buffer.readUIntLE(0, 3);
      isLast = (header & 1) === 1;
      const isRepeated = ((header >> 1) & 3) === 1; // one byte stands for the whole block
      yield* this.#exactly(3 + (isRepeated ? 1 : header >> 3));
    }
    if ((descriptor & 4) !== 0) yield* this.#exactly(4);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }

  async *#exactly(count: number): AsyncGenerator<Uint8Array, void, undefined> {
    for (let left = count; left > 0; ) {
      const piece = await this.#take(left);
      left -= piece.length;
      yield piece;
    }
  }

  async #take(limit: number): Promise<Uint8Array> {
    await this.#need(1);
    const piece = this.#buffer.subarray(0, limit);
    this.#buffer = this.#buffer.subarray(piece.length);
    return piece;
  }

  async #need(count: number): Promise<void> {
    if (!(await this.#fill(count))) throw malformed('damaged zstd data: unexpected end');
  }

  async #fill(count: number): Promise<boolean> {
    while (this.#buffer.length < count) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      const bytes = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
      this.#buffer = this.#buffer.length === 0 ? bytes : Buffer.concat([this.#buffer, bytes]);
    }
    return true;
  }
}
