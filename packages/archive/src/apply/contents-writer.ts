/** The thread that writes the contents of files which another one has made: the other side of {@link HandedContents}. */
import { closeSync, ftruncateSync } from 'node:fs';
import { closeAll, type FileWrite, setTimesFd } from '@boxship/linux';
import { type ContentsRecord, recordAt, recordCount } from './contents-batch.ts';
import { writeFully } from './file-contents.ts';

/** Writes many at once, and says how much of each is written: less than all means that the rest is to be tried alone. */
export type WriteMany = (writes: readonly FileWrite[]) => ArrayLike<number>;

export class ContentsWriter implements Disposable {
  readonly #memory: SharedArrayBuffer;
  readonly #writeMany: WriteMany | undefined;
  /** All bytes of it were not here yet. */
  #unfinished: number | undefined;
  #error: unknown;

  constructor(memory: SharedArrayBuffer, writeMany: WriteMany | undefined) {
    this.#memory = memory;
    this.#writeMany = writeMany;
  }

  /** What went wrong first: from then on files are closed and nothing else. */
  get error(): unknown {
    return this.#error;
  }

  fail(error: unknown): void {
    this.#error ??= error;
  }

  /** @returns how many files are closed */
  write(table: Float64Array): number {
    const records = Array.from({ length: recordCount(table) }, (_, index) => recordAt(table, index));
    if (this.#error === undefined) this.#try(() => this.#putAll(records));
    const done: number[] = [];
    for (const { fd, mtime } of records) {
      this.#unfinished = mtime === undefined ? fd : undefined;
      if (mtime !== undefined) done.push(fd);
    }
    this.#try(() => closeAll(done)); // a file system may say only now that it had no room
    return done.length;
  }

  [Symbol.dispose](): void {
    if (this.#unfinished !== undefined) closeSync(this.#unfinished);
    this.#unfinished = undefined;
  }

  #putAll(records: readonly ContentsRecord[]): void {
    const written = this.#writeMany?.(records) ?? [];
    for (const [index, record] of records.entries()) {
      this.#putRest(record, written[index] ?? 0);
      const { fd, mtime, size } = record;
      if (size !== undefined) ftruncateSync(fd, size);
      if (mtime !== undefined) setTimesFd(fd, mtime, mtime);
    }
  }

  #putRest({ fd, from, length, position }: ContentsRecord, written: number): void {
    if (written === length) return;
    writeFully(fd, Buffer.from(this.#memory, from + written, length - written), position + written);
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }
}
