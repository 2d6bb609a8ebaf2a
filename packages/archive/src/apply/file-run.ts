/** Files of one directory that another thread writes, and whose bytes are all here: they are made together, see {@link FileMaker}. */
import { FileMaker } from '@boxship/linux';
import type { TarEntry } from '../tar/entry.ts';
import type { HandedContents } from './handed-contents.ts';

export interface PlainFile {
  readonly path: string;
  readonly base: string;
  readonly entry: TarEntry;
  /** All of it. */
  readonly bytes: Buffer;
}

export class FileRun {
  readonly #contents: HandedContents;
  readonly #maker = new FileMaker();
  #files: PlainFile[] = [];
  #directory: string | undefined;

  constructor(contents: HandedContents) {
    this.#contents = contents;
  }

  get isEmpty(): boolean {
    return this.#maker.count === 0;
  }

  get isFull(): boolean {
    return this.#maker.isFull;
  }

  /** Where they go. */
  get directory(): string | undefined {
    return this.#directory;
  }

  /** The next ones go there. It exists. */
  begin(directory: string): void {
    this.#directory = directory;
  }

  /** Whether one more can be made so, if it is not full. */
  takes(base: string, entry: TarEntry): boolean {
    if (!FileMaker.takes(base)) return false;
    return entry.xattrs.size === 0 && this.#contents.hasRoom(this.#maker.count + 1);
  }

  add(file: PlainFile): void {
    this.#maker.add(file.base, file.entry.mode);
    this.#files.push(file);
  }

  /** @returns those that cannot be made so: the name is taken, or something is wrong */
  make(directoryFd: number): PlainFile[] {
    const files = this.#files;
    this.#files = [];
    const fds = this.#maker.make(directoryFd);
    const failed = files.filter((_, index) => (fds[index] as number) < 0);
    this.#contents.reserve(files.length - failed.length);
    for (const [index, { entry, bytes }] of files.entries()) {
      const made = { fd: fds[index] as number, entry, isMadeRight: true };
      if (made.fd < 0) continue;
      if (bytes.length > 0) this.#contents.data(made, bytes, 0);
      this.#contents.end(made, undefined);
    }
    return failed;
  }
}
