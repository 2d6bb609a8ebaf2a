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
  readonly #waiting: Int32Array<SharedArrayBuffer>;

  /** Data must be parts of shared slots: the batch says where they lie. */
  constructor(batch: ContentsBatch, waiting: Int32Array<SharedArrayBuffer>) {
    this.#batch = batch;
    this.#waiting = waiting;
  }

  /** Whether the other thread takes this one: most files of most images need nothing but bytes and times. */
  takes({ entry, isMadeRight }: NewFile): boolean {
    if (!isMadeRight || entry.xattrs.size > 0 || !this.hasRoom(1)) return false;
    this.reserve(1);
    return true;
  }

  /** Whether the other thread is there, and not too far behind for so many files. */
  hasRoom(files: number): boolean {
    const waiting = Atomics.load(this.#waiting, 0);
    return waiting >= 0 && waiting + files <= maxWaiting;
  }

  /** So many files are handed over. */
  reserve(files: number): void {
    Atomics.add(this.#waiting, 0, files);
  }

  data({ fd }: NewFile, bytes: Buffer, position: number): void {
    this.#batch.add(fd, bytes.byteOffset, bytes.length, position);
  }

  end({ fd, entry }: NewFile, size: number | undefined): void {
    if (!this.#batch.endsWith(fd)) this.#batch.add(fd, 0, 0, 0); // empty, or all of it is on its way already
    this.#batch.close(clampTime(entry.mtime), size);
  }

  /** The other thread closes what it has heard of. */
  abandon({ fd }: NewFile): void {
    this.#batch.add(fd, 0, 0, 0);
  }
}
