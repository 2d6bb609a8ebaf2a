/**
 * Compression of layers: told by the first bytes, never by a name (gzip labels on plain tars are common). Decompression
 * is in process, bounded in window and in ratio.
 */
import { pipeline, Readable, type Transform } from 'node:stream';
import { constants, createGunzip, createGzip, createZstdCompress, createZstdDecompress } from 'node:zlib';
import { BoxshipError, messageOf } from '@boxship/base';
import type { LayerCompression } from '@boxship/oci';
import { type ArchiveLimits, defaultLimits, overLimit } from './limits.ts';
import { ZstdFrames } from './zstd-frames.ts';

const magics: readonly (readonly [kind: LayerCompression | 'bzip2' | 'xz', magic: readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];
/** Bytes that {@link detectCompression} needs to see. */
export const magicBytes = 6;
const chunkSize = 1024 * 1024;

/** @throws unimplemented for bzip2 and xz */
export function detectCompression(head: Uint8Array): LayerCompression {
  // a zstd stream may begin with skippable frames, magic 0x184d2a5?
  if (
    head.length >= 4 &&
    ((head[0] as number) & 0xf0) === 0x50 &&
    head[1] === 0x2a &&
    head[2] === 0x4d &&
    head[3] === 0x18
  )
    return 'zstd';
  const kind = magics.find(([, magic]) => magic.every((byte, index) => head[index] === byte))?.[0] ?? 'none';
  if (kind === 'bzip2' || kind === 'xz')
    throw new BoxshipError('unimplemented', `archive: ${kind} compression is not supported; use gzip or zstd`);
  return kind;
}

/** Reads the first bytes of a stream and gives the stream back whole. */
export async function peek(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Buffer; whole: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  let isOver = false;
  while (head.length < magicBytes && !isOver) {
    const next = await iterator.next();
    if (next.done === true) isOver = true;
    else
      head =
        head.length === 0
          ? Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength)
          : Buffer.concat([head, next.value]);
  }
  const whole = async function* (): AsyncGenerator<Uint8Array> {
    try {
      if (head.length > 0) yield head;
      while (!isOver) {
        const next = await iterator.next();
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  };
  return { head, whole: whole() };
}

/** Told what has gone in and come out since, it throws resourceExhausted when that is more than an archive may be. */
export function outputGuard(
  limits: ArchiveLimits,
  compression: LayerCompression,
): (bytesIn: number, bytesOut: number) => void {
  let allIn = 0;
  let allOut = 0;
  return (bytesIn, bytesOut) => {
    allIn += bytesIn;
    allOut += bytesOut;
    if (allOut > limits.sizeBytes) throw overLimit(`more than ${limits.sizeBytes} bytes uncompressed`);
    if (allOut > limits.ratioFromBytes && allOut > allIn * limits.ratio && compression !== 'none')
      throw overLimit(`${allOut} bytes from ${allIn} compressed ones; the limit is a ratio of ${limits.ratio}`);
  };
}

/** The uncompressed bytes of a stream. @throws invalidArgument (damaged), resourceExhausted (bomb), unimplemented */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits = defaultLimits,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { head, whole } = await peek(source);
  const compression = detectCompression(head);
  const guard = outputGuard(limits, compression);
  let bytesIn = 0;
  let sourceError: unknown;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of whole) {
        bytesIn += chunk.length;
        yield chunk;
      }
    } catch (error) {
      sourceError = error;
      throw error;
    }
  };
  const guarded = (chunk: Uint8Array) => {
    guard(bytesIn, chunk.length);
    bytesIn = 0;
    return chunk;
  };
  if (compression === 'none') {
    for await (const chunk of counted()) yield guarded(chunk);
    return;
  }
  const failed = (error: unknown): unknown => {
    if (sourceError !== undefined) return sourceError;
    if (BoxshipError.is(error)) return error;
    return new BoxshipError('invalidArgument', `archive: damaged ${compression} data: ${messageOf(error)}`, {
      cause: error,
    });
  };
  try {
    if (compression === 'gzip') {
      for await (const chunk of expand(counted(), createGunzip(piecewise))) yield guarded(chunk);
      return;
    }
    await using frames = new ZstdFrames(counted());
    while (await frames.advance())
      for await (const chunk of expand(frames.frame(), createZstdDecompress(zstdOptions))) yield guarded(chunk);
  } catch (error) {
    throw failed(error);
  }
}

/** Pieces are handed on one by one: as bytes, those that wait would be joined into one first, a copy of everything. */
const piecewise = { chunkSize, readableObjectMode: true, readableHighWaterMark: 2 };
const zstdOptions = { ...piecewise, params: { [constants.ZSTD_d_windowLogMax]: 27 } }; // a window of 128 MiB

async function* expand(
  source: AsyncIterable<Uint8Array>,
  expander: Transform,
): AsyncGenerator<Uint8Array, void, undefined> {
  pipeline(Readable.from(source, { objectMode: true }), expander, () => {}); // the error reaches the loop through the expander
  try {
    for await (const chunk of expander) yield chunk as Uint8Array;
  } finally {
    expander.destroy();
  }
}

export interface CompressOptions {
  /** Default: gzip 6, zstd 3. */
  readonly level?: number;
}

/** The compressed bytes. gzip output carries no name and no time, so equal input gives an equal digest. */
export async function* compress(
  source: AsyncIterable<Uint8Array>,
  compression: LayerCompression,
  options: CompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  if (compression === 'none') {
    yield* source;
    return;
  }
  const packer: Transform =
    compression === 'gzip'
      ? createGzip({ chunkSize, level: options.level ?? 6 })
      : createZstdCompress({ chunkSize, params: { [constants.ZSTD_c_compressionLevel]: options.level ?? 3 } });
  pipeline(Readable.from(source, { objectMode: true }), packer, () => {}); // the error reaches the loop below
  try {
    for await (const chunk of packer) yield chunk as Uint8Array;
  } finally {
    packer.destroy();
  }
}
