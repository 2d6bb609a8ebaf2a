/** The members of an archive that are files, from the header to the last byte: which of them are made together, and which alone. */
import { parentOf } from '../names.ts';
import type { TarEntry } from '../tar/entry.ts';
import type { DirectoryDescriptors } from './descriptors.ts';
import { type FileContents, type NewFile, ownContents } from './file-contents.ts';
import { FileRun, type PlainFile } from './file-run.ts';
import type { HandedContents } from './handed-contents.ts';

export type FileMember = Omit<PlainFile, 'bytes'>;

export interface FileOperations {
  /** Makes one file, whatever is in its way, and says so by {@link FileMembers.made}. */
  makeAlone(member: FileMember): void;
  /** Whether it has its owner and its mode from the start. */
  isMadeRight(entry: TarEntry): boolean;
}

const none = Buffer.alloc(0);

export class FileMembers implements Disposable {
  readonly #directories: DirectoryDescriptors;
  readonly #operations: FileOperations;
  readonly #handed: HandedContents | undefined;
  readonly #run: FileRun | undefined;
  /** The member at hand, if it may become part of the run: as soon as its bytes are here. */
  #candidate: FileMember | undefined;
  /** The member at hand, if it is made. */
  #file: { readonly made: NewFile; readonly contents: FileContents; position: number; hasHole: boolean } | undefined;

  /** @param handed where contents go that another thread writes; without it, everything is done here */
  constructor(directories: DirectoryDescriptors, operations: FileOperations, handed: HandedContents | undefined) {
    this.#directories = directories;
    this.#operations = operations;
    this.#handed = handed;
    this.#run = handed === undefined ? undefined : new FileRun(handed);
  }

  begin(member: FileMember): void {
    const run = this.#run;
    if (run !== undefined) {
      const directory = parentOf(member.path);
      if (run.directory !== directory || run.isFull) this.makeWaiting();
      this.#directories.get(directory); // to make it may change who owns what is made in it
      run.begin(directory);
    }
    if (run?.takes(member.base, member.entry) === true && this.#operations.isMadeRight(member.entry))
      this.#candidate = member;
    else this.#alone(member);
  }

  made(made: NewFile): void {
    const contents = this.#handed?.takes(made) === true ? this.#handed : ownContents;
    this.#file = { made, contents, position: 0, hasHole: false };
  }

  data(bytes: Buffer): void {
    if (this.#joinsRun(bytes)) return;
    const file = this.#file;
    if (file === undefined) return;
    file.contents.data(file.made, bytes, file.position);
    file.position += bytes.length;
  }

  hole(length: number): void {
    this.#joinsRun(undefined);
    if (this.#file === undefined) return;
    this.#file.hasHole = true;
    this.#file.position += length;
  }

  end(): void {
    if (this.#joinsRun(none)) return;
    const file = this.#file;
    this.#file = undefined;
    file?.contents.end(file.made, file.hasHole ? file.made.entry.size : undefined);
  }

  /** Makes the files that wait for others of their directory: before their bytes are no longer valid, and before anything else is made. */
  makeWaiting(): void {
    const run = this.#run;
    if (run?.directory === undefined || run.isEmpty) return;
    for (const { bytes, ...member } of run.make(this.#directories.get(run.directory))) {
      this.#operations.makeAlone(member);
      this.data(bytes);
      this.end();
    }
  }

  [Symbol.dispose](): void {
    this.#file?.contents.abandon(this.#file.made);
    this.#file = undefined;
  }

  /** Whether the member at hand is part of the run now, so that nothing is left to do; one that is not whole is made alone. */
  #joinsRun(bytes: Buffer | undefined): boolean {
    const candidate = this.#candidate;
    if (candidate === undefined) return false;
    this.#candidate = undefined;
    if (bytes?.length === candidate.entry.size) {
      this.#run?.add({ ...candidate, bytes });
      return true;
    }
    this.#alone(candidate);
    return false;
  }

  #alone(member: FileMember): void {
    this.makeWaiting();
    this.#operations.makeAlone(member);
  }
}
