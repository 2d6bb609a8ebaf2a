/** The thread that writes the contents of files which another one has made: the other side of {@link HandedContents}. */
import { closeSync, ftruncateSync } from 'node:fs';
import { closeAll, setTimesFd } from '@boxship/linux';
import { type ContentsRecord, recordAt, recordCount } from './contents-batch.ts';
import { writeFully } from './file-contents.ts';

export class ContentsWriter implements Disposable {
  readonly #memory: SharedArrayBuffer;
  /** All bytes of it were not here yet. */
  #unfinished: number | undefined;
  #error: unknown;

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory;
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
    const done: number[] = [];
    for (let index = 0; index < recordCount(table); index++) {
      const record = recordAt(table, index);
      if (this.#error === undefined) this.#try(() => this.#put(record));
      this.#unfinished = record.mtime === undefined ? record.fd : undefined;
      if (record.mtime !== undefined) done.push(record.fd);
    }
    this.#try(() => closeAll(done)); // a file system may say only now that it had no room
    return done.length;
  }

  [Symbol.dispose](): void {
    if (this.#unfinished !== undefined) closeSync(this.#unfinished);
    this.#unfinished = undefined;
  }

  #put({ fd, from, length, position, mtime, size }: ContentsRecord): void {
    writeFully(fd, Buffer.from(this.#memory, from, length), position);
    if (size !== undefined) ftruncateSync(fd, size);
    if (mtime !== undefined) setTimesFd(fd, mtime, mtime);
  }

  #try(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.fail(error);
    }
  }
}
