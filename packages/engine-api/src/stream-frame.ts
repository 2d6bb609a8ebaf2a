/**
 * The framing of attach, exec and logs without a terminal: `[stream][0][0][0][length: u32 big endian][payload]`.
 * Stream 1 is stdout, 2 stderr, 3 an error of the system that ends the stream. Payloads are opaque.
 */
import { Transform, type TransformCallback } from 'node:stream';
import { BoxshipError } from '@boxship/base';

export const streamTypes = { stdin: 0, stdout: 1, stderr: 2, systemError: 3 } as const;
export type StreamType = (typeof streamTypes)[keyof typeof streamTypes];

export const frameHeaderBytes = 8;

export interface Frame {
  readonly stream: number;
  readonly payload: Buffer;
}

/** Header and payload in one buffer. */
export function encodeFrame(stream: StreamType, payload: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(frameHeaderBytes + payload.length);
  frame.writeUInt32BE(stream * 0x1_00_00_00, 0);
  frame.writeUInt32BE(payload.length, 4);
  frame.set(payload, frameHeaderBytes);
  return frame;
}

/** Cuts a byte stream into frames; payloads arrive in as many pieces as the chunks have, never joined or copied. */
export class FrameDecoder {
  #header: Buffer = Buffer.alloc(0);
  #stream = 0;
  #remaining = 0;

  /** @throws dataLoss when the bytes are no frame */
  push(chunk: Buffer): Frame[] {
    const frames: Frame[] = [];
    let rest = chunk;
    while (rest.length > 0) {
      if (this.#remaining === 0) {
        const missing = frameHeaderBytes - this.#header.length;
        this.#header =
          this.#header.length === 0
            ? rest.subarray(0, missing)
            : Buffer.concat([this.#header, rest.subarray(0, missing)]);
        rest = rest.subarray(missing);
        if (this.#header.length < frameHeaderBytes) {
          this.#header = Buffer.from(this.#header); // the chunk is the caller's
          break;
        }
        this.#stream = this.#header[0] ?? 0;
        if (this.#stream > 3) throw new BoxshipError('dataLoss', `unrecognized stream: ${this.#stream}`);
        this.#remaining = this.#header.readUInt32BE(4);
        this.#header = Buffer.alloc(0);
        continue;
      }
      const payload = rest.subarray(0, this.#remaining);
      this.#remaining -= payload.length;
      rest = rest.subarray(payload.length);
      frames.push({ stream: this.#stream, payload });
    }
    return frames;
  }
}

/** An object-mode transform from bytes to {@link Frame}s. */
export function frameDecoderStream(): Transform {
  const decoder = new FrameDecoder();
  return new Transform({
    readableObjectMode: true,
    transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
      try {
        for (const frame of decoder.push(chunk)) this.push(frame);
        done();
      } catch (error) {
        done(error as Error);
      }
    },
  });
}
