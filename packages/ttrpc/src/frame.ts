/**
 * The frame of ttrpc: 10 bytes of header (length and stream, big-endian 32 bits; type; flags) and a body of at most 4 MiB.
 * There is no handshake, no ping and no flow control; clients use odd streams, counting up by two from 1.
 */
import { BoxshipError } from '@boxship/base';

export const HEADER_BYTES = 10;
export const MAX_BODY_BYTES = 4 * 1024 * 1024;

export const frameTypes = { request: 1, response: 2, data: 3 } as const;

export interface Frame {
  readonly stream: number;
  readonly type: number;
  readonly flags: number;
  /** Undefined when the body was longer than allowed and has been thrown away. */
  readonly body: Uint8Array | undefined;
}

/** @throws resourceExhausted when the body is longer than 4 MiB: the other side would not read it */
export function encodeFrame(stream: number, type: number, body: Uint8Array): Buffer {
  if (body.length > MAX_BODY_BYTES)
    throw new BoxshipError(
      'resourceExhausted',
      `message of ${body.length} bytes exceeds the ${MAX_BODY_BYTES} of ttrpc`,
    );
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  frame.writeUInt32BE(body.length, 0);
  frame.writeUInt32BE(stream, 4);
  frame[8] = type;
  frame[9] = 0;
  frame.set(body, HEADER_BYTES);
  return frame;
}

/**
 * Cuts a byte stream into frames. Holds at most one incomplete frame; the body of an oversized one is skipped as it comes.
 */
export class FrameDecoder {
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  #toSkip = 0;

  /** The frames completed by `chunk`. */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    for (;;) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, this.#pendingBytes);
        this.#take(skipped);
        this.#toSkip -= skipped;
        if (this.#toSkip > 0) return frames;
      }
      if (this.#pendingBytes < HEADER_BYTES) return frames;
      const buffer = this.#joined();
      const length = buffer.readUInt32BE(0);
      const header = { stream: buffer.readUInt32BE(4), type: buffer[8] ?? 0, flags: buffer[9] ?? 0 };
      if (length > MAX_BODY_BYTES) {
        this.#take(HEADER_BYTES);
        this.#toSkip = length;
        frames.push({ ...header, body: undefined });
      } else {
        if (this.#pendingBytes < HEADER_BYTES + length) return frames;
        frames.push({ ...header, body: this.#take(HEADER_BYTES + length).subarray(HEADER_BYTES) });
      }
    }
  }

  // a large body arrives in many chunks: they are joined once when the header is needed and again when it is complete
  #joined(): Buffer {
    const [first] = this.#pending;
    if (first !== undefined && first.length >= HEADER_BYTES) return first;
    const all = Buffer.concat(this.#pending);
    this.#pending = [all];
    return all;
  }

  #take(bytes: number): Buffer {
    const [first] = this.#pending;
    const all = this.#pending.length === 1 && first !== undefined ? first : Buffer.concat(this.#pending);
    const rest = all.subarray(bytes);
    this.#pending = rest.length === 0 ? [] : [rest];
    this.#pendingBytes = rest.length;
    return all.subarray(0, bytes);
  }
}
