/**
 * Makes the way from pipe to log file safe against `kill -9` at any instruction. Output moves by splice(2) from the pipe
 * into a spool file (it is in the one or in the other, never only in our memory), is read from there, and leaves it when
 * the log file has it. A journal of one record tells a successor whether the last write to the log was complete. The tail
 * of a line that has no newline yet simply stays in the spool.
 *
 * Lives beside the container's other state, which a reboot voids as it voids the container: nothing is synced to disk.
 *
 * Journal (96 bytes, one pwrite, little-endian 64-bit): inode, size before, length, then per stream start before, start
 * after, and the end to which a compacted spool is to be cut (or -1).
 */
import { closeSync, constants, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { spliceNow } from '@boxship/linux';
import type { StreamName } from './format.ts';
import type { LogFile } from './log-file.ts';
import type { WriteIntent } from './log-writer.ts';

const O_RDWR_CREAT = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
const JOURNAL_BYTES = 96;
const NO_CUT = -1n;
/** A spool that is used up is emptied beyond this size, so that small writes cost no truncation each. */
const EMPTY_BEYOND = 64 * 1024;
/** A spool with a rest is moved to its front beyond this size. */
const COMPACT_BEYOND = 256 * 1024;

const streams = ['stdout', 'stderr'] as const;

interface Tail {
  readonly fd: number;
  start: number;
  end: number;
}

export class Spool {
  readonly #tails: Record<StreamName, Tail>;
  readonly #journal: number;
  readonly #record = Buffer.alloc(JOURNAL_BYTES);

  /** Opens or makes `<prefix>.stdout`, `.stderr`, `.journal`. */
  constructor(prefix: string) {
    const open = (name: string) => openSync(`${prefix}.${name}`, O_RDWR_CREAT, 0o600);
    const tail = (stream: StreamName): Tail => {
      const fd = open(stream);
      return { fd, start: 0, end: fstatSync(fd).size };
    };
    this.#tails = { stdout: tail('stdout'), stderr: tail('stderr') };
    this.#journal = open('journal');
  }

  /** Brings spool and log file into agreement after a death in the middle of anything. Call once, before the first use. */
  recover(file: LogFile): void {
    const record = Buffer.alloc(JOURNAL_BYTES);
    if (readSync(this.#journal, record, 0, JOURNAL_BYTES, 0) < JOURNAL_BYTES) return; // never written
    const number = (index: number) => Number(record.readBigInt64LE(index * 8));
    const sizeBefore = number(1);
    const length = number(2);
    // another inode: the log was rotated, which happens only after a complete write
    const isSameFile = record.readBigInt64LE(0) === file.inode;
    const isComplete = !isSameFile || length === 0 || file.size >= sizeBefore + length;
    if (!isComplete && file.size > sizeBefore) file.truncate(sizeBefore);
    streams.forEach((stream, i) => {
      const tail = this.#tails[stream];
      const cut = record.readBigInt64LE((5 + i * 3) * 8);
      if (cut !== NO_CUT) {
        ftruncateSync(tail.fd, Number(cut));
        tail.end = Number(cut);
      }
      const start = number((isComplete ? 4 : 3) + i * 3);
      tail.start = start <= tail.end ? start : 0; // beyond the end: the spool was emptied, which comes before its record
    });
    this.#writeJournal({ inode: file.inode, sizeBefore: file.size, length: 0 });
  }

  /** Moves what is in the pipe into the spool; as `spliceNow`. */
  take(stream: StreamName, pipe: number, maxBytes: number): number {
    const tail = this.#tails[stream];
    const moved = spliceNow(pipe, tail.fd, maxBytes, tail.end);
    if (moved > 0) tail.end += moved;
    return moved;
  }

  /** Adds bytes that came from elsewhere than a pipe (a terminal). */
  put(stream: StreamName, bytes: Buffer): void {
    const tail = this.#tails[stream];
    let written = 0;
    while (written < bytes.length)
      written += writeSync(tail.fd, bytes, written, bytes.length - written, tail.end + written);
    tail.end += bytes.length;
  }

  /** Reads all that is in the spool into `buffer`; the part of `buffer` that holds it. */
  contents(stream: StreamName, buffer: Buffer): Buffer {
    const tail = this.#tails[stream];
    const length = Math.min(tail.end - tail.start, buffer.length);
    let at = 0;
    while (at < length) {
      const n = readSync(tail.fd, buffer, at, length - at, tail.start + at);
      if (n === 0) break;
      at += n;
    }
    return buffer.subarray(0, at);
  }

  pendingBytes(stream: StreamName): number {
    return this.#tails[stream].end - this.#tails[stream].start;
  }

  /** To be called before the log is written; `base`: bytes of the current contents consumed by earlier writes. */
  intend(stream: StreamName, intent: WriteIntent, base: number): void {
    const tail = this.#tails[stream];
    this.#writeJournal(intent, stream, tail.start + base, tail.start + intent.consumed);
  }

  /** Forgets bytes at the front; they are in the log. */
  consume(stream: StreamName, bytes: number): void {
    const tail = this.#tails[stream];
    tail.start += bytes;
    const rest = tail.end - tail.start;
    if (rest === 0 && tail.end >= EMPTY_BEYOND) {
      ftruncateSync(tail.fd, 0);
      tail.start = 0;
      tail.end = 0;
      this.#writeJournal({ inode: 0n, sizeBefore: 0, length: 0 });
    } else if (tail.start >= COMPACT_BEYOND && rest <= EMPTY_BEYOND) {
      this.#compact(stream, rest);
    }
  }

  /** The rest is copied to the front first; the journal then says where the file ends, before it is cut there. */
  #compact(stream: StreamName, rest: number): void {
    const tail = this.#tails[stream];
    const bytes = this.contents(stream, Buffer.alloc(rest));
    writeSync(tail.fd, bytes, 0, rest, 0);
    tail.start = 0;
    tail.end = rest;
    this.#writeJournal({ inode: 0n, sizeBefore: 0, length: 0 }, stream, 0, 0, BigInt(rest));
    ftruncateSync(tail.fd, rest);
    this.#writeJournal({ inode: 0n, sizeBefore: 0, length: 0 });
  }

  #writeJournal(
    intent: Pick<WriteIntent, 'inode' | 'sizeBefore' | 'length'>,
    changed?: StreamName,
    before = 0,
    after = 0,
    cut = NO_CUT,
  ): void {
    const record = this.#record;
    record.writeBigInt64LE(intent.inode, 0);
    record.writeBigInt64LE(BigInt(intent.sizeBefore), 8);
    record.writeBigInt64LE(BigInt(intent.length), 16);
    streams.forEach((stream, i) => {
      const { start } = this.#tails[stream];
      const isChanged = stream === changed;
      record.writeBigInt64LE(BigInt(isChanged ? before : start), (3 + i * 3) * 8);
      record.writeBigInt64LE(BigInt(isChanged ? after : start), (4 + i * 3) * 8);
      record.writeBigInt64LE(isChanged ? cut : NO_CUT, (5 + i * 3) * 8);
    });
    writeSync(this.#journal, record, 0, JOURNAL_BYTES, 0);
  }

  close(): void {
    for (const stream of streams) closeSync(this.#tails[stream].fd);
    closeSync(this.#journal);
  }
}
