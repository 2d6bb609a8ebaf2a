/** A log as it grows, through any number of rotations; entries as they are found, a block of the file at a time. */
import { sleep } from '@boxship/base';
import { parseTimeNs } from '../../clock.ts';
import type { LogCodec, LogEntry } from './entry.ts';
import { inodeOf, type LogFile, openFile, openLogFiles, readForwards } from './files.ts';

export interface FollowOptions {
  readonly path: string;
  readonly codec: LogCodec;
  /** The live file as the reader knows it, and where to begin in it; undefined: there is none yet. Stays open. */
  readonly live: LogFile | undefined;
  readonly from: number;
  /** False: what is there is read, then the generator ends. */
  readonly isOpen: () => boolean;
  readonly signal: AbortSignal;
}

const blockBytes = 64 * 1024;
const pollMs = 50;

export async function* follow(options: FollowOptions): AsyncGenerator<readonly LogEntry[]> {
  const { path, codec, signal } = options;
  await using opened = new AsyncDisposableStack();
  let file = options.live;
  let position = options.from;
  let pending: Buffer = Buffer.alloc(0);
  let lastTime: string | undefined;
  while (!signal.aborted) {
    const isLast = !options.isOpen();
    file ??= (await openFile(path, opened))[0];
    if (file !== undefined) {
      // asked before the rest is read: after a rotation nothing more is written to the file
      const isOver = await isReplaced(file, path);
      // an administrator has emptied it
      if ((await file.handle.stat()).size < position) position = 0;
      for (;;) {
        const { bytesRead, buffer } = await file.handle.read(Buffer.alloc(blockBytes), 0, blockBytes, position);
        if (bytesRead === 0) break;
        position += bytesRead;
        const block = Buffer.concat([pending, buffer.subarray(0, bytesRead)]);
        const { entries, taken } = codec.decode(block);
        yield entries;
        lastTime = entries.at(-1)?.time ?? lastTime;
        pending = block.subarray(taken);
      }
      if (isOver) {
        yield* rotatedSince(file, path, codec, lastTime);
        if (file !== options.live) await file.handle.close();
        file = undefined;
        position = 0;
        pending = Buffer.alloc(0);
        continue;
      }
    }
    if (isLast) return;
    await sleep(pollMs, signal).catch(() => {}); // the loop's condition ends it
  }
}

/** What lies between a file that was read to its end and the live one, when there was more than one rotation meanwhile. */
async function* rotatedSince(
  last: LogFile,
  path: string,
  codec: LogCodec,
  time: string | undefined,
): AsyncGenerator<readonly LogEntry[]> {
  await using files = await openLogFiles(path);
  const at = files.rotated.findIndex(({ ino }) => ino === last.ino);
  // a file that was compressed or removed is not found again: what was in it is known by its time
  for (const file of files.rotated.slice(at + 1))
    for await (const { entries } of readForwards(file, codec))
      yield at >= 0 || time === undefined
        ? entries
        : entries.filter((entry) => parseTimeNs(entry.time) > parseTimeNs(time));
}

/** True when another file has the name. */
async function isReplaced(file: LogFile, path: string): Promise<boolean> {
  const ino = await inodeOf(path);
  return ino !== undefined && ino !== file.ino;
}
