/** `logs`: entries of the log file, selected, decorated and framed for a client. */

import type { Writable } from 'node:stream';
import { BoxshipError } from '@boxship/base';
import { encodeFrame, streamTypes } from '@boxship/engine-api';
import { parseTimeNs } from '../clock.ts';
import { hasRoom } from '../http/has-room.ts';
import type { Parts } from '../parts.ts';
import { codecOf } from './log/codec.ts';
import type { LogCodec, LogEntry } from './log/entry.ts';
import { openLogFiles, readForwards } from './log/files.ts';
import { follow } from './log/follow.ts';
import { readTail } from './log/tail.ts';
import { logPath } from './log/uri.ts';
import { type Container, isTaskAlive } from './model.ts';

export interface LogsOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly isFramed: boolean;
  readonly isFollowing?: boolean;
  /** Entries; undefined: all. */
  readonly tail?: number | undefined;
  /** Nanoseconds since 1970. */
  readonly since?: bigint | undefined;
  readonly until?: bigint | undefined;
  readonly hasTimestamps?: boolean;
  readonly hasDetails?: boolean;
  readonly signal?: AbortSignal;
}

/** @throws unimplemented when the log driver cannot be read */
export function readableLog(container: Container): LogCodec {
  const codec = codecOf(container.record.hostConfig.LogConfig.Type);
  if (codec === undefined)
    throw new BoxshipError('unimplemented', 'configured logging driver does not support reading');
  return codec;
}

export async function writeLogs(
  parts: Parts,
  container: Container,
  target: Writable,
  options: LogsOptions,
): Promise<void> {
  const { until } = options;
  for await (const entries of entriesOf(parts, container, options)) {
    const end = until === undefined ? -1 : entries.findIndex(({ time }) => parseTimeNs(time) > until);
    const chunks = (end < 0 ? entries : entries.slice(0, end)).flatMap((entry) => encode(entry, options));
    if (target.destroyed) return;
    // one write for all: a client that takes nothing has had the work of one block done for it, not of each line
    if (chunks.length > 0 && !target.write(Buffer.concat(chunks))) await hasRoom(target);
    if (end >= 0) return;
  }
}

/** Nothing when it was not asked for. */
function encode(entry: LogEntry, options: LogsOptions): Buffer[] {
  if (entry.stream === 'stdout' ? !options.stdout : !options.stderr) return [];
  if (options.since !== undefined && parseTimeNs(entry.time) < options.since) return [];
  const bytes = decorate(entry, options);
  return [options.isFramed ? encodeFrame(streamTypes[entry.stream], bytes) : bytes];
}

async function* entriesOf(
  parts: Parts,
  container: Container,
  options: LogsOptions,
): AsyncGenerator<readonly LogEntry[]> {
  const codec = readableLog(container);
  const path = logPath(parts.config, container.record);
  await using files = await openLogFiles(path);
  let from = 0;
  if (options.tail !== undefined) {
    const isWanted = (entry: LogEntry) => options.until === undefined || parseTimeNs(entry.time) <= options.until;
    const { entries, end } = await readTail(files, { codec, count: options.tail, isWanted });
    yield entries;
    from = end;
  } else for (const file of files.rotated) for await (const { entries } of readForwards(file, codec)) yield entries;
  yield* follow({
    path,
    codec,
    live: files.live,
    from,
    // an ended container is read to the end of its file once more: its last lines were written before its exit was told
    isOpen: () => options.isFollowing === true && isTaskAlive(container),
    signal: AbortSignal.any([options.signal ?? parts.stopping, parts.stopping]),
  });
}

function decorate(entry: LogEntry, options: LogsOptions): Buffer {
  const time = options.hasTimestamps === true ? `${fixedTime(entry.time)} ` : '';
  const details = options.hasDetails === true ? `${formatDetails(entry.attrs ?? {})} ` : '';
  const prefix = time + details;
  return prefix === '' ? entry.line : Buffer.concat([Buffer.from(prefix), entry.line]);
}

/** RFC 3339 with all nine digits. */
export function fixedTime(time: string): string {
  const [, head = '', fraction = ''] = /^(.{19})(?:\.(\d+))?Z$/.exec(time) ?? [];
  return head === '' ? time : `${head}.${fraction.padEnd(9, '0').slice(0, 9)}Z`;
}

function formatDetails(attributes: Readonly<Record<string, string>>): string {
  return Object.entries(attributes)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`)
    .join(',');
}
