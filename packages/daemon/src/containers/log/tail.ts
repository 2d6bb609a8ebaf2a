/** The last entries of a log, without reading all of it where the format allows. */
import type { LogCodec, LogEntry } from './entry.ts';
import { type LogFile, type LogFiles, readForwards } from './files.ts';

export interface Tail {
  /** Oldest first. */
  readonly entries: readonly LogEntry[];
  /** Where the live file was read to: the end of its last whole record. */
  readonly end: number;
}

export interface TailOptions {
  readonly codec: LogCodec;
  readonly count: number;
  readonly isWanted: (entry: LogEntry) => boolean;
}

const blockBytes = 64 * 1024;

export async function readTail(files: LogFiles, options: TailOptions): Promise<Tail> {
  const live = files.live === undefined ? { entries: [], end: 0 } : await tailOf(files.live, options);
  let entries = live.entries;
  for (const file of files.rotated.toReversed()) {
    const count = options.count - entries.length;
    if (count <= 0) break;
    entries = [...(await tailOf(file, { ...options, count })).entries, ...entries];
  }
  return { entries, end: live.end };
}

const tailOf = (file: LogFile, options: TailOptions): Promise<Tail> =>
  options.codec.isLineBased && !file.isCompressed ? fromEnd(file, options) : fromStart(file, options);

/** For files that have no other way: they are limited in size. */
async function fromStart(file: LogFile, { codec, count, isWanted }: TailOptions): Promise<Tail> {
  const entries: LogEntry[] = [];
  let end = 0;
  for await (const batch of readForwards(file, codec)) {
    entries.push(...batch.entries.filter(isWanted));
    if (entries.length > 2 * count) entries.splice(0, entries.length - count);
    end = batch.end;
  }
  return { entries: count <= 0 ? [] : entries.slice(-count), end };
}

/** Block by block, as many as are needed. */
async function fromEnd({ handle }: LogFile, { codec, count, isWanted }: TailOptions): Promise<Tail> {
  let position = (await handle.stat()).size;
  let end: number | undefined;
  let rest: Buffer = Buffer.alloc(0);
  let entries: LogEntry[] = [];
  while (position > 0 && (end === undefined || entries.length < count)) {
    const length = Math.min(blockBytes, position);
    position -= length;
    const { buffer } = await handle.read(Buffer.alloc(length), 0, length, position);
    const block = Buffer.concat([buffer, rest]);
    // what follows the last line feed is still being written
    if (end === undefined && block.includes(0x0a)) end = position + block.lastIndexOf(0x0a) + 1;
    // the first line may begin in the block before
    const from = position === 0 ? 0 : block.indexOf(0x0a) + 1;
    if (from > 0 || position === 0)
      entries = [...codec.decode(block.subarray(from)).entries.filter(isWanted), ...entries];
    rest = from > 0 || position === 0 ? block.subarray(0, from) : block;
  }
  return { entries: count <= 0 ? [] : entries.slice(-count), end: end ?? 0 };
}
