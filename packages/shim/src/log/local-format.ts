/**
 * Records of Docker's `local` driver: a protobuf message between two copies of its length (32 bits, big-endian), so that
 * the file can be read from either end.
 *   LogEntry { 1 source, 2 time_nano, 3 line, 4 partial, 5 partial_log_metadata { 1 last, 2 id, 3 ordinal } }
 */
import { randomBytes } from 'node:crypto';
import { BinaryWriter } from '@bufbuild/protobuf/wire';
import type { LogFormat, LogPiece, StreamName } from './format.ts';

const tag = (field: number, wireType: number) => (field << 3) | wireType;

export class LocalFormat implements LogFormat {
  readonly isLineBased = false;
  #timeNs = 0n;
  readonly #lineIds = new Map<StreamName, string>();

  maxRecordBytes(contentBytes: number): number {
    return contentBytes + 160;
  }

  setTime(epochNs: bigint): void {
    this.#timeNs = epochNs;
  }

  encode(out: Buffer, at: number, piece: LogPiece): number {
    const writer = new BinaryWriter();
    writer.uint32(tag(1, 2)).string(piece.stream);
    writer.uint32(tag(2, 0)).int64(this.#timeNs);
    writer.uint32(tag(3, 2)).bytes(piece.bytes.subarray(piece.from, piece.to));
    // an unterminated last line is a part whose end never came
    if (piece.part > 0 || !piece.isLineEnd) {
      if (piece.part <= 1) this.#lineIds.set(piece.stream, randomBytes(32).toString('hex'));
      writer.uint32(tag(4, 0)).bool(true);
      writer.uint32(tag(5, 2)).fork();
      if (piece.isLineEnd) writer.uint32(tag(1, 0)).bool(true);
      writer.uint32(tag(2, 2)).string(this.#lineIds.get(piece.stream) ?? '');
      writer.uint32(tag(3, 0)).int32(Math.max(piece.part, 1));
      writer.join();
    }
    const message = writer.finish();
    out.writeUInt32BE(message.length, at);
    out.set(message, at + 4);
    return out.writeUInt32BE(message.length, at + 4 + message.length);
  }

  encodeLines(): undefined {
    return undefined; // lengths differ from record to record
  }

  wholeRecords(bytes: Buffer): number {
    let at = 0;
    while (at + 4 <= bytes.length) {
      const next = at + 8 + bytes.readUInt32BE(at);
      if (next > bytes.length) break;
      at = next;
    }
    return at;
  }
}
