/**
 * Bytes of two streams in, records of a log file out. Cuts lines, encodes into one buffer, writes it with one call, rotates
 * between records. A disk that refuses costs the lines, never a wait: how many were dropped is recorded in the log itself
 * once it takes data again.
 */
import type { LogFields, Logger } from '@boxship/base';
import { type LogFormat, type LogPiece, MAX_LINE_BYTES, type StreamName } from './format.ts';
import type { LogFile } from './log-file.ts';

/** Told before each write to the file, so that a successor can finish or skip it (see spool.ts). */
export interface WriteIntent {
  readonly inode: bigint;
  readonly sizeBefore: number;
  readonly length: number;
  /** Input bytes of the current call that are in the file when the write is complete. */
  readonly consumed: number;
}

export type OnIntent = (intent: WriteIntent) => void;

const OUT_BYTES = 4 * 1024 * 1024;
const WARN_EVERY_MS = 60_000;
// one buffer for all logs: encoding and writing happen in one synchronous stretch
const out = Buffer.allocUnsafe(OUT_BYTES);

export class LogWriter {
  readonly #file: LogFile;
  readonly #format: LogFormat;
  readonly #log: Logger;
  readonly #parts: Record<StreamName, number> = { stdout: 0, stderr: 0 };
  #filled = 0;
  #records = 0;
  #droppedLines = 0;
  #lastWarning = Number.NEGATIVE_INFINITY;

  constructor(file: LogFile, format: LogFormat, log: Logger) {
    this.#file = file;
    this.#format = format;
    this.#log = log;
  }

  /**
   * Writes the complete lines of `bytes`, and parts of overlong ones. Gives the number of bytes used; the caller keeps the
   * rest and offers it again with what follows.
   */
  write(stream: StreamName, bytes: Buffer, timeNs: bigint, onIntent?: OnIntent): number {
    this.#format.setTime(timeNs);
    // left by a call that failed: its input is offered again
    this.#filled = 0;
    this.#records = 0;
    let at = 0;
    for (;;) {
      at = this.#putLines(stream, bytes, at, onIntent);
      const newline = bytes.indexOf(0x0a, at);
      const length = (newline < 0 ? bytes.length : newline) - at;
      if (length >= MAX_LINE_BYTES) {
        const to = cutAtCharacter(bytes, at, at + MAX_LINE_BYTES);
        this.#put({ stream, bytes, from: at, to, isLineEnd: false, part: ++this.#parts[stream] }, at, onIntent);
        at = to;
      } else if (newline >= 0) {
        const part = this.#parts[stream] === 0 ? 0 : this.#parts[stream] + 1;
        this.#put({ stream, bytes, from: at, to: newline, isLineEnd: true, part }, at, onIntent);
        this.#parts[stream] = 0;
        at = newline + 1;
      } else break;
    }
    this.#flush(at, onIntent);
    return at;
  }

  /** Writes what is left of a stream that has ended: a line without newline. */
  finish(stream: StreamName, bytes: Buffer, timeNs: bigint, onIntent?: OnIntent): void {
    const used = this.write(stream, bytes, timeNs, onIntent);
    const rest = bytes.subarray(used);
    if (rest.length === 0) return;
    this.#put(
      { stream, bytes: rest, from: 0, to: rest.length, isLineEnd: false, part: this.#parts[stream] + 1 },
      0,
      undefined,
    );
    this.#flush(bytes.length, onIntent);
    this.#parts[stream] = 0;
  }

  /** Many lines at a time, as long as they are short, plain and far from a rotation. Gives the position behind them. */
  #putLines(stream: StreamName, bytes: Buffer, from: number, onIntent: OnIntent | undefined): number {
    let at = from;
    while (this.#parts[stream] === 0) {
      // lines that fit into this are shorter than the length at which lines are cut
      const newline = bytes.subarray(at, at + MAX_LINE_BYTES).lastIndexOf(0x0a);
      if (newline < 0) break;
      const encoded = this.#format.encodeLines(stream, bytes, at, at + newline);
      if (encoded === undefined || encoded.latin1.length > OUT_BYTES) break;
      if (this.#filled + encoded.latin1.length > OUT_BYTES) this.#flush(at, onIntent);
      if (this.#file.wouldBeFull(this.#filled + encoded.latin1.length)) break;
      this.#filled += out.write(encoded.latin1, this.#filled, 'latin1');
      this.#records += encoded.records;
      at += newline + 1;
    }
    return at;
  }

  #put(piece: LogPiece, consumedBefore: number, onIntent: OnIntent | undefined): void {
    const needed = this.#format.maxRecordBytes(piece.to - piece.from);
    const isRotationDue = this.#isFullWith(this.#filled);
    if (isRotationDue || this.#filled + needed > OUT_BYTES) this.#flush(consumedBefore, onIntent);
    if (this.#file.isFull) this.#rotate(consumedBefore, onIntent);
    this.#filled = this.#format.encode(out, this.#filled, piece);
    this.#records++;
  }

  #isFullWith(pending: number): boolean {
    return pending > 0 && this.#file.wouldBeFull(pending);
  }

  #flush(consumed: number, onIntent: OnIntent | undefined): void {
    if (this.#filled === 0) return;
    if (this.#droppedLines > 0) this.#recordDrop();
    const bytes = out.subarray(0, this.#filled);
    onIntent?.({ inode: this.#file.inode, sizeBefore: this.#file.size, length: bytes.length, consumed });
    const before = this.#file.size;
    const { taken, failure } = this.#file.append(bytes);
    if (failure !== undefined) {
      const whole = this.#format.wholeRecords(bytes.subarray(0, taken));
      this.#file.truncate(before + whole);
      // a count of records: of those taken in part or not at all
      const kept = this.#format.isLineBased ? countNewlines(bytes.subarray(0, whole)) : whole === 0 ? 0 : this.#records;
      this.#drop(this.#records - kept, failure);
      // the input counts as used: a full disk must not stop the container
      onIntent?.({ inode: this.#file.inode, sizeBefore: this.#file.size, length: 0, consumed });
    }
    this.#filled = 0;
    this.#records = 0;
  }

  #drop(lines: number, failure: Error): void {
    this.#droppedLines += lines;
    this.#warn('log file takes no data, lines are dropped', { error: failure, lines: this.#droppedLines });
  }

  #warn(message: string, fields: LogFields): void {
    const now = performance.now();
    if (now - this.#lastWarning < WARN_EVERY_MS) return;
    this.#lastWarning = now;
    this.#log.warn(message, fields);
  }

  /** Says in the log how many lines are missing at this place. Tried before each write until it succeeds. */
  #recordDrop(): void {
    const text = Buffer.from(`[boxship: ${this.#droppedLines} lines dropped here: the log's file system was full]`);
    const marker = Buffer.alloc(this.#format.maxRecordBytes(text.length));
    const piece: LogPiece = { stream: 'stderr', bytes: text, from: 0, to: text.length, isLineEnd: true, part: 0 };
    const end = this.#format.encode(marker, 0, piece);
    const before = this.#file.size;
    const { failure } = this.#file.append(marker.subarray(0, end));
    if (failure === undefined) this.#droppedLines = 0;
    else this.#file.truncate(before);
  }

  #rotate(consumed: number, onIntent: OnIntent | undefined): void {
    // everything before is in the file: nothing may be measured against its size from here on
    onIntent?.({ inode: this.#file.inode, sizeBefore: this.#file.size, length: 0, consumed });
    try {
      this.#file.rotate();
    } catch (error) {
      // the current file goes on growing: more than its share of disk, but nothing lost
      this.#warn('log file could not be rotated', { error });
    }
  }

  close(): void {
    this.#file.close();
  }
}

/** Does not cut within a character of UTF-8: both halves would be unreadable. */
function cutAtCharacter(bytes: Buffer, from: number, to: number): number {
  for (let back = 0; back < 4 && to - back > from; back++) {
    const byte = bytes[to - back - 1] as number;
    if (byte < 0x80) return to;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back + 1 ? to - back - 1 : to;
    }
  }
  return to;
}

function countNewlines(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) count++;
  return count;
}
