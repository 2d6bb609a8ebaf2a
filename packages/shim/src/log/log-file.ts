/**
 * The file behind a log: append, rotation by size and count with Docker's names (`x`, `x.1`, `x.2` … or `x.1.gz`), repair
 * of a torn end at open. A full disk never throws: {@link LogFile.append} tells how much was taken.
 */
import {
  closeSync,
  createReadStream,
  createWriteStream,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { BoxshipError, type Logger } from '@boxship/base';
import type { LogFormat } from './format.ts';

export interface LogFileOptions {
  readonly path: string;
  /** Rotation happens when the file has reached this size; undefined: never. */
  readonly maxSizeBytes: number | undefined;
  /** Files kept, the current one included. */
  readonly maxFiles: number;
  readonly isCompressed: boolean;
  readonly format: LogFormat;
  readonly log: Logger;
}

// a torn record is shorter than one encoded part of a line
const REPAIR_WINDOW = 256 * 1024;

export class LogFile {
  readonly #options: LogFileOptions;
  #fd: number;
  #isCompressing = false;
  #size: number;
  #inode: bigint;

  constructor(options: LogFileOptions) {
    this.#options = options;
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o755 });
    this.#fd = openSync(options.path, 'a+', 0o640);
    const stat = fstatSync(this.#fd, { bigint: true });
    this.#size = Number(stat.size);
    this.#inode = stat.ino;
  }

  get size(): number {
    return this.#size;
  }

  get inode(): bigint {
    return this.#inode;
  }

  get isFull(): boolean {
    return this.wouldBeFull(0);
  }

  /** Whether rotation is due once so many bytes more are in the file; not before the last rotated file is compressed. */
  wouldBeFull(pendingBytes: number): boolean {
    return (
      !this.#isCompressing &&
      this.#options.maxSizeBytes !== undefined &&
      this.#size + pendingBytes >= this.#options.maxSizeBytes
    );
  }

  /** Cuts off a record that a killed machine or a full disk left incomplete. */
  repair(): void {
    const from = Math.max(0, this.#size - REPAIR_WINDOW);
    // records of `local` can only be followed from the start of a file
    const whole = this.#options.format.wholeRecords(this.#read(this.#options.format.isLineBased ? from : 0));
    const end = (this.#options.format.isLineBased ? from : 0) + whole;
    if (end < this.#size && !(whole === 0 && from > 0)) this.truncate(end);
  }

  #read(from: number): Buffer {
    const bytes = Buffer.alloc(this.#size - from);
    let at = 0;
    while (at < bytes.length) {
      const n = readSync(this.#fd, bytes, at, bytes.length - at, from + at);
      if (n === 0) break;
      at += n;
    }
    return bytes.subarray(0, at);
  }

  truncate(size: number): void {
    ftruncateSync(this.#fd, size);
    this.#size = size;
  }

  /** Bytes taken; fewer than given means that the disk refuses (the error is in `failure`). */
  append(bytes: Buffer): { readonly taken: number; readonly failure: BoxshipError | undefined } {
    let taken = 0;
    try {
      while (taken < bytes.length) taken += writeSync(this.#fd, bytes, taken);
      this.#size += taken;
      return { taken, failure: undefined };
    } catch (error) {
      this.#size += taken;
      return { taken, failure: BoxshipError.from(error) };
    }
  }

  /** Makes room by the rules of the options. With one file only, its content is dropped. */
  rotate(): void {
    const { path, maxFiles, isCompressed } = this.#options;
    if (maxFiles < 2) {
      this.truncate(0);
      return;
    }
    const suffix = isCompressed ? '.gz' : '';
    rmSync(`${path}.${maxFiles - 1}${suffix}`, { force: true });
    for (let i = maxFiles - 1; i > 1; i--) renameIfThere(`${path}.${i - 1}${suffix}`, `${path}.${i}${suffix}`);
    renameSync(path, `${path}.1`);
    if (isCompressed) void this.#compress(`${path}.1`);
    closeSync(this.#fd);
    this.#fd = openSync(path, 'a+', 0o640);
    this.#inode = fstatSync(this.#fd, { bigint: true }).ino;
    this.#size = 0;
  }

  async #compress(path: string): Promise<void> {
    this.#isCompressing = true;
    try {
      await pipeline(createReadStream(path), createGzip(), createWriteStream(`${path}.gz`, { mode: 0o640 }));
      rmSync(path, { force: true });
    } catch (error) {
      // the uncompressed file stays readable under its name until the next rotation
      this.#options.log.warn('log file could not be compressed', { path, error });
    } finally {
      this.#isCompressing = false;
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function renameIfThere(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
