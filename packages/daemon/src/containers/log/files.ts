/**
 * The files of a log: `x.log` and its rotated predecessors `x.log.1` (newest) … `x.log.N`, plain or gzip. They are opened
 * together and read by descriptor, so that a rotation while they are read takes nothing away and shows nothing twice.
 */
import { existsSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import type { LogCodec, LogEntry } from './entry.ts';

export interface LogFile {
  readonly handle: FileHandle;
  /** Names the file, whatever it is called by now. */
  readonly ino: number;
  readonly isCompressed: boolean;
}

export interface LogFiles extends AsyncDisposable {
  /** Oldest first. */
  readonly rotated: readonly LogFile[];
  /** The one that is written; undefined before the first record. */
  readonly live: LogFile | undefined;
}

/** A rotation renames every file; the names hold still for much longer than it takes to open them. */
const attempts = 10;

export async function openLogFiles(path: string): Promise<LogFiles> {
  for (let attempt = 1; ; attempt++) {
    await using stack = new AsyncDisposableStack();
    const files: LogFile[] = [];
    for (const name of rotatedNames(path)) files.push(...(await openFile(name, stack)));
    const [live] = await openFile(path, stack);
    const isTorn = (live !== undefined && (await inodeOf(path)) !== live.ino) || hasDuplicates(files, live);
    if (isTorn && attempt < attempts) continue; // rotated while they were opened
    const owned = stack.move();
    return { rotated: files, live, [Symbol.asyncDispose]: () => owned.disposeAsync() };
  }
}

const hasDuplicates = (files: readonly LogFile[], live: LogFile | undefined): boolean =>
  new Set([...files, ...(live === undefined ? [] : [live])].map(({ ino }) => ino)).size <
  files.length + (live === undefined ? 0 : 1);

/** Oldest first. */
function rotatedNames(path: string): string[] {
  const names: string[] = [];
  for (let index = 1; ; index++) {
    const name = [`${path}.${index}`, `${path}.${index}.gz`].find((candidate) => existsSync(candidate));
    if (name === undefined) return names;
    names.unshift(name);
  }
}

/** None when the name is gone. */
export async function openFile(name: string, stack: AsyncDisposableStack): Promise<LogFile[]> {
  try {
    const handle = stack.use(await open(name, 'r'));
    return [{ handle, ino: (await handle.stat()).ino, isCompressed: name.endsWith('.gz') }];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** The file that has the name now. */
export async function inodeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).ino;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // between rotation and the next record
    throw error;
  }
}

export interface Batch {
  readonly entries: readonly LogEntry[];
  /** Bytes of the file up to the end of these entries. */
  readonly end: number;
}

/** All that is in a file now, in blocks. */
export async function* readForwards(file: LogFile, codec: LogCodec): AsyncGenerator<Batch> {
  const bytes = file.handle.createReadStream({ start: 0, autoClose: false });
  let pending: Buffer = Buffer.alloc(0);
  let end = 0;
  for await (const chunk of file.isCompressed ? bytes.pipe(createGunzip()) : bytes) {
    const block = Buffer.concat([pending, chunk as Buffer]);
    const { entries, taken } = codec.decode(block);
    end += taken;
    pending = block.subarray(taken);
    yield { entries, end };
  }
}
