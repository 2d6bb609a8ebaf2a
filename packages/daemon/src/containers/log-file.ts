/**
 * Reads a log with its files: `x.log` with its rotated predecessors `x.log.1` (newest) … `x.log.N`, plain or gzip. Following goes
 * on through rotation, because the file is read by descriptor to its end before the next one is opened.
 */
import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { sleep } from '@boxship/base';
import type { LogCodec, LogEntry } from './log-entry.ts';

const chunkBytes = 64 * 1024;
const pollMs = 50;

/** Oldest first. */
export function logFiles(path: string): string[] {
  const files: string[] = [];
  for (let index = 1; ; index++) {
    const name = [`${path}.${index}`, `${path}.${index}.gz`].find((candidate) => existsSync(candidate));
    if (name === undefined) break;
    files.unshift(name);
  }
  if (existsSync(path)) files.push(path);
  return files;
}

/** Entries of finished files. */
export async function* readWhole(path: string, codec: LogCodec): AsyncGenerator<LogEntry> {
  const file = createReadStream(path);
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of path.endsWith('.gz') ? file.pipe(createGunzip()) : file) {
    const block = Buffer.concat([pending, chunk as Buffer]);
    const { entries, taken } = codec.decode(block);
    yield* entries;
    pending = block.subarray(taken);
  }
}

export interface Tail {
  /** Oldest first. */
  readonly entries: LogEntry[];
  /** Where the live file was read to: the end of its last whole record. */
  readonly end: number;
}

/** The last `count` entries that `isWanted`. */
export async function readTail(
  path: string,
  count: number,
  codec: LogCodec,
  isWanted: (entry: LogEntry) => boolean,
): Promise<Tail> {
  let entries: LogEntry[] = [];
  let end = 0;
  for (const file of logFiles(path).reverse()) {
    const wanted = count - entries.length;
    const isLive = file === path;
    if (wanted <= 0 && !isLive) break;
    const tail =
      codec.isLineBased && !file.endsWith('.gz')
        ? await readBackwards(file, wanted, codec, isWanted)
        : await readForwards(file, wanted, codec, isWanted);
    entries = [...tail.entries, ...entries];
    if (isLive) end = tail.end;
  }
  return { entries, end };
}

type FileTail = (file: string, count: number, codec: LogCodec, isWanted: (entry: LogEntry) => boolean) => Promise<Tail>;

/** For files that have no other way: rotated ones, which are limited in size. */
const readForwards: FileTail = async (file, count, codec, isWanted) => {
  const entries: LogEntry[] = [];
  let end = 0;
  let pending: Buffer = Buffer.alloc(0);
  const bytes = createReadStream(file);
  for await (const chunk of file.endsWith('.gz') ? bytes.pipe(createGunzip()) : bytes) {
    const block = Buffer.concat([pending, chunk as Buffer]);
    const decoded = codec.decode(block);
    for (const entry of decoded.entries) if (isWanted(entry)) entries.push(entry);
    if (entries.length > 2 * count) entries.splice(0, entries.length - count);
    end += decoded.taken;
    pending = block.subarray(decoded.taken);
  }
  return { entries: count <= 0 ? [] : entries.slice(-count), end };
};

/** Block by block from the end, as many as are needed. */
const readBackwards: FileTail = async (path, count, codec, isWanted) => {
  await using file = await open(path, 'r');
  let position = (await file.stat()).size;
  let end: number | undefined;
  let rest: Buffer = Buffer.alloc(0);
  let entries: LogEntry[] = [];
  while (position > 0 && (end === undefined || entries.length < count)) {
    const length = Math.min(chunkBytes, position);
    position -= length;
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, position);
    const block = Buffer.concat([buffer, rest]);
    // what follows the last line feed is still being written
    if (end === undefined && block.includes(0x0a)) end = position + block.lastIndexOf(0x0a) + 1;
    // the first line may begin in the block before
    const from = position === 0 ? 0 : block.indexOf(0x0a) + 1;
    if (from === 0 && position > 0) {
      rest = block;
      continue;
    }
    entries = [...codec.decode(block.subarray(from)).entries.filter(isWanted), ...entries];
    rest = block.subarray(0, from);
  }
  return { entries: count <= 0 ? [] : entries.slice(-count), end: end ?? 0 };
};

export interface FollowOptions {
  readonly path: string;
  readonly codec: LogCodec;
  /** Where to begin in the live file. */
  readonly from: number;
  /** False: what is there is read, then the generator ends. */
  readonly isOpen: () => boolean;
  readonly signal: AbortSignal;
}

/** Entries as they are written. */
export async function* follow(options: FollowOptions): AsyncGenerator<LogEntry> {
  let position = options.from;
  let pending: Buffer = Buffer.alloc(0);
  let file: FileHandle | undefined = await openExisting(options.path);
  try {
    while (!options.signal.aborted) {
      const isLast = !options.isOpen();
      file ??= await openExisting(options.path);
      if (file !== undefined) {
        for (;;) {
          const { bytesRead, buffer } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, position);
          if (bytesRead === 0) break;
          position += bytesRead;
          const block = Buffer.concat([pending, buffer.subarray(0, bytesRead)]);
          const { entries, taken } = options.codec.decode(block);
          yield* entries;
          pending = block.subarray(taken);
        }
        if (await isReplaced(file, options.path)) {
          await file.close();
          file = undefined;
          position = 0;
          pending = Buffer.alloc(0);
          continue;
        }
      }
      if (isLast) return;
      await sleep(pollMs, options.signal).catch(() => {}); // the loop's condition ends it
    }
  } finally {
    await file?.close();
  }
}

async function openExisting(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // between rotation and the next line
    throw error;
  }
}

async function isReplaced(file: FileHandle, path: string): Promise<boolean> {
  const open = await file.stat();
  try {
    const named = await stat(path);
    return named.ino !== open.ino || named.size < open.size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
