/**
 * Lets another thread write the contents: this one makes the files and says what goes into them. To write a small file takes the
 * kernel about as long as to make it, so that both threads have as much to do.
 */
import type { ContentsBatch } from './contents-batch.ts';
import type { FileContents, NewFile } from './file-contents.ts';
import { clampTime } from './metadata.ts';

/** More files that wait to be written are written here: the other thread is behind, and each one holds a descriptor. */
const maxWaiting = 512;

export class HandedContents implements FileContents {
  readonly #batch: ContentsBatch;
  #file: NewFile | undefined;
  #position = 0;
  #hasHole = false;
  /** The batch has a record of it. */
  #isTold = false;
  readonly #waiting: Int32Array<SharedArrayBuffer>;

  /** Data must be parts of shared slots: the batch says where they lie. */
  constructor(batch: ContentsBatch, waiting: Int32Array<SharedArrayBuffer>) {
    this.#batch = batch;
    this.#waiting = waiting;
  }

  /** Whether the other thread is to write this one: most files of most images need nothing but bytes and times. */
  accepts({ entry, isMadeRight }: NewFile): boolean {
    if (!isMadeRight || entry.xattrs.size > 0) return false;
    const waiting = Atomics.load(this.#waiting, 0);
    return waiting >= 0 && waiting < maxWaiting;
  }

  begin(file: NewFile): void {
    this.#file = file;
    this.#position = 0;
    this.#hasHole = false;
    this.#isTold = false;
    Atomics.add(this.#waiting, 0, 1);
  }

  data(bytes: Buffer): void {
    if (this.#file === undefined) return;
    this.#batch.add(this.#file.fd, bytes.byteOffset, bytes.length, this.#position);
    this.#position += bytes.length;
    this.#isTold = true;
  }

  hole(length: number): void {
    this.#hasHole = true;
    this.#position += length;
  }

  end(): void {
    if (this.#file === undefined) return;
    const { fd, entry } = this.#file;
    this.#file = undefined;
    if (!this.#batch.endsWith(fd)) this.#batch.add(fd, 0, 0, 0); // empty, or all of it is on its way already
    this.#batch.close(clampTime(entry.mtime), this.#hasHole ? entry.size : undefined);
  }

  /** The other thread closes a file that was only begun, too. */
  [Symbol.dispose](): void {
    if (this.#file !== undefined && !this.#isTold) this.#batch.add(this.#file.fd, 0, 0, 0);
    this.#file = undefined;
  }
}
