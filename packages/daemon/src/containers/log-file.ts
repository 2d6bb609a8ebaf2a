/**
 * Reads json-file logs: `x.log` with its rotated predecessors `x.log.1` (newest) … `x.log.N`, plain or gzip. Following goes
 * on through rotation, because the file is read by descriptor to its end before the next one is opened.
 */
import { createReadStream, existsSync } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { createGunzip } from 'node:zlib';
import { sleep } from '@boxship/base';

export interface LogEntry {
  readonly log: string;
  readonly stream: 'stdout' | 'stderr';
  /** RFC 3339. */
  readonly time: string;
  readonly attrs?: Readonly<Record<string, string>>;
}

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

/** A line that is no entry (torn by a crash) is left out. */
export function parseEntry(line: string): LogEntry | undefined {
  try {
    const entry = JSON.parse(line) as Partial<LogEntry>;
    if (typeof entry.log !== 'string' || typeof entry.time !== 'string') return undefined;
    return { ...entry, log: entry.log, time: entry.time, stream: entry.stream === 'stderr' ? 'stderr' : 'stdout' };
  } catch {
    return undefined;
  }
}

/** Entries of finished files. */
export async function* readWhole(path: string): AsyncGenerator<LogEntry> {
  const file = createReadStream(path);
  const lines = createInterface({
    input: path.endsWith('.gz') ? file.pipe(createGunzip()) : file,
    crlfDelay: Infinity,
  });
  for await (const line of lines) {
    const entry = parseEntry(line);
    if (entry !== undefined) yield entry;
  }
}

/** The last `count` entries that `isWanted`, oldest first, and where the live file was read to. */
export async function readTail(
  path: string,
  count: number,
  isWanted: (entry: LogEntry) => boolean,
): Promise<{ entries: LogEntry[]; end: number }> {
  const entries: LogEntry[] = [];
  let end = 0;
  for (const file of logFiles(path).reverse()) {
    if (file.endsWith('.gz')) {
      const all: LogEntry[] = [];
      for await (const entry of readWhole(file)) if (isWanted(entry)) all.push(entry);
      entries.unshift(...all.slice(-(count - entries.length)));
    } else {
      const size = await readBackwards(
        file,
        (line) => {
          const entry = parseEntry(line);
          if (entry !== undefined && isWanted(entry)) entries.unshift(entry);
          return entries.length < count;
        },
        count - entries.length,
      );
      if (file === path) end = size;
    }
    if (entries.length >= count) break;
  }
  return { entries, end };
}

async function readBackwards(path: string, onLine: (line: string) => boolean, wanted: number): Promise<number> {
  await using file = await open(path, 'r');
  const { size } = await file.stat();
  if (wanted <= 0) return size;
  let position = size;
  let rest = Buffer.alloc(0);
  let isFirst = true;
  while (position > 0) {
    const length = Math.min(chunkBytes, position);
    position -= length;
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, position);
    let block = Buffer.concat([buffer, rest]);
    if (isFirst && block.at(-1) === 0x0a) block = block.subarray(0, -1);
    isFirst = false;
    for (let at = block.lastIndexOf(0x0a); at >= 0; at = block.lastIndexOf(0x0a)) {
      if (!onLine(block.toString('utf8', at + 1))) return size;
      block = block.subarray(0, at);
    }
    rest = block;
  }
  if (rest.length > 0) onLine(rest.toString('utf8'));
  return size;
}

export interface FollowOptions {
  readonly path: string;
  /** Where to begin in the live file. */
  readonly from: number;
  /** False: what is there is read, then the generator ends. */
  readonly isOpen: () => boolean;
  readonly signal: AbortSignal;
}

/** Entries as they are written. */
export async function* follow(options: FollowOptions): AsyncGenerator<LogEntry> {
  let position = options.from;
  let pending = Buffer.alloc(0);
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
          let block = Buffer.concat([pending, buffer.subarray(0, bytesRead)]);
          for (let at = block.indexOf(0x0a); at >= 0; at = block.indexOf(0x0a)) {
            const entry = parseEntry(block.toString('utf8', 0, at));
            if (entry !== undefined) yield entry;
            block = block.subarray(at + 1);
          }
          pending = block;
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
