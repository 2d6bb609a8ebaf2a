/**
 * What is put into a file that was made: its bytes, then owner, mode, attributes and times, and then it is closed. Members of an
 * archive come one after the other, so there is one file at a time.
 */
import { closeSync, ftruncateSync, writeSync } from 'node:fs';
import type { TarEntry } from '../tar/entry.ts';
import { setMetadataFd } from './metadata.ts';

export interface NewFile {
  readonly fd: number;
  readonly entry: TarEntry;
  /** It was made by its owner with its mode. */
  readonly isMadeRight: boolean;
}

export interface FileContents extends Disposable {
  /** Takes the descriptor over. */
  begin(file: NewFile): void;
  /** Valid only during the call. */
  data(bytes: Buffer): void;
  hole(length: number): void;
  end(): void;
}

/** Does it on this thread, at once. */
export class OwnContents implements FileContents {
  #file: NewFile | undefined;
  #position = 0;
  #hasHole = false;

  begin(file: NewFile): void {
    this.#file = file;
    this.#position = 0;
    this.#hasHole = false;
  }

  data(bytes: Buffer): void {
    if (this.#file === undefined) return;
    writeFully(this.#file.fd, bytes, this.#position);
    this.#position += bytes.length;
  }

  hole(length: number): void {
    this.#hasHole = true;
    this.#position += length;
  }

  end(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    try {
      if (this.#hasHole) ftruncateSync(file.fd, file.entry.size);
      setMetadataFd(file.fd, file.entry, { withTimes: true, isMadeRight: file.isMadeRight });
    } finally {
      closeSync(file.fd);
    }
  }

  [Symbol.dispose](): void {
    if (this.#file !== undefined) closeSync(this.#file.fd);
    this.#file = undefined;
  }
}

export function writeFully(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}
