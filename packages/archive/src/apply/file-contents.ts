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

/** Each call is about the file that was made last. Descriptors belong to it until the end. */
export interface FileContents {
  /** The bytes are valid only during the call. */
  data(file: NewFile, bytes: Buffer, position: number): void;
  /** @param size of a file that ends with a hole */
  end(file: NewFile, size: number | undefined): void;
  /** Closes a file that is not complete, and never will be. */
  abandon(file: NewFile): void;
}

/** Does it on this thread, at once. */
export const ownContents: FileContents = {
  data: ({ fd }, bytes, position) => writeFully(fd, bytes, position),
  end({ fd, entry, isMadeRight }, size) {
    try {
      if (size !== undefined) ftruncateSync(fd, size);
      setMetadataFd(fd, entry, { withTimes: true, isMadeRight });
    } finally {
      closeSync(fd);
    }
  },
  abandon: ({ fd }) => closeSync(fd),
};

export function writeFully(fd: number, bytes: Buffer, position: number): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at, position + at);
}
