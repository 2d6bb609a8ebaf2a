/**
 * Contents of files on their way to the thread that writes them: where they lie in the shared slots and what is to be done with them.
 * A table of numbers, since an object for each of a hundred files would take longer to copy than the files to write.
 */
import type { Timestamp } from '@boxship/linux';

export interface ContentsRecord {
  /** Belongs to the thread that gets the record. */
  readonly fd: number;
  /** In the memory of all slots. */
  readonly from: number;
  readonly length: number;
  /** In the file. */
  readonly position: number;
  /** Of the last record of a file: it gets these times and is closed. */
  readonly mtime: Timestamp | undefined;
  /** Of the last record of a file that ends with a hole: what the file is extended to. */
  readonly size: number | undefined;
}

const fields = 7;
const none = -1;

export class ContentsBatch {
  #table = new Float64Array(256 * fields);
  #length = 0;

  /** Whether its last record is of this descriptor. */
  endsWith(fd: number): boolean {
    return this.#length > 0 && this.#table[this.#length - fields] === fd;
  }

  add(fd: number, from: number, length: number, position: number): void {
    if (this.#length === this.#table.length) {
      const larger = new Float64Array(2 * this.#length);
      larger.set(this.#table);
      this.#table = larger;
    }
    const at = this.#length;
    this.#table[at] = fd;
    this.#table[at + 1] = from;
    this.#table[at + 2] = length;
    this.#table[at + 3] = position;
    this.#table[at + 4] = none;
    this.#table[at + 6] = none;
    this.#length += fields;
  }

  /** Makes the last record the last one of its file. */
  close(mtime: Timestamp, size: number | undefined): void {
    const at = this.#length - fields;
    this.#table[at + 4] = mtime.seconds;
    this.#table[at + 5] = mtime.nanoseconds;
    this.#table[at + 6] = size ?? none;
  }

  /** The records so far; it begins anew. */
  take(): Float64Array {
    const records = this.#table.slice(0, this.#length);
    this.#length = 0;
    return records;
  }
}

export const recordCount = (table: Float64Array): number => table.length / fields;

export function recordAt(table: Float64Array, index: number): ContentsRecord {
  const at = index * fields;
  const number = (field: number): number => table[at + field] as number;
  return {
    fd: number(0),
    from: number(1),
    length: number(2),
    position: number(3),
    mtime: number(4) === none ? undefined : { seconds: number(4), nanoseconds: number(5) },
    size: number(6) === none ? undefined : number(6),
  };
}
