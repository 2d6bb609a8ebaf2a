import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { poll } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codecOf } from './codec.ts';
import type { LogCodec, LogEntry } from './entry.ts';
import { openLogFiles, readForwards } from './files.ts';
import { follow } from './follow.ts';
import { readTail } from './tail.ts';

const line = (text: string) =>
  `${JSON.stringify({ log: `${text}\n`, stream: 'stdout', time: '2026-01-01T00:00:00Z' })}\n`;
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => line(`l${from + i}`)).join('');

describe('json-file logs', () => {
  let directory = '';
  let path = '';
  beforeEach(() => {
    directory = mkdtempSync('/tmp/boxshipd-log-');
    path = join(directory, 'x-json.log');
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  const codec = codecOf('json-file') as LogCodec;
  const tail = async (count: number) => {
    await using files = await openLogFiles(path);
    return await readTail(files, { codec, count, isWanted: () => true });
  };
  const texts = (entries: readonly LogEntry[]) => entries.map(({ line: bytes }) => bytes.toString().trim());

  it('takes the tail over rotated and compressed files', async () => {
    writeFileSync(`${path}.2.gz`, gzipSync(lines(0, 5)));
    writeFileSync(`${path}.1`, lines(5, 10));
    writeFileSync(path, lines(10, 12));
    expect(texts((await tail(4)).entries)).toEqual(['l8', 'l9', 'l10', 'l11']);
    expect(texts((await tail(9)).entries)[0]).toBe('l3');
    expect(texts((await tail(100)).entries).length).toBe(12);
    expect(texts((await tail(0)).entries)).toEqual([]);
  });

  it('takes the tail of a file larger than a block', async () => {
    writeFileSync(path, lines(0, 5000));
    const { entries, end } = await tail(3);
    expect(texts(entries)).toEqual(['l4997', 'l4998', 'l4999']);
    expect(end).toBe(Buffer.byteLength(lines(0, 5000)));
    expect(texts((await tail(4999)).entries)[0]).toBe('l1');
  });

  it('is read whole although it is rotated meanwhile', async () => {
    writeFileSync(`${path}.1`, line('a'));
    writeFileSync(path, line('b'));
    await using files = await openLogFiles(path);
    renameSync(`${path}.1`, `${path}.2`);
    renameSync(path, `${path}.1`);
    writeFileSync(path, line('c'));
    const seen: LogEntry[] = [];
    for (const file of files.rotated) for await (const { entries } of readForwards(file, codec)) seen.push(...entries);
    const { signal } = new AbortController();
    for await (const entries of follow({ path, codec, live: files.live, from: 0, isOpen: () => false, signal }))
      seen.push(...entries);
    expect(texts(seen)).toEqual(['a', 'b', 'c']);
  });

  it('leaves torn lines out', async () => {
    writeFileSync(path, `${line('a')}{"log":"torn\n${line('b')}`);
    await using files = await openLogFiles(path);
    const entries = [];
    if (files.live !== undefined)
      for await (const batch of readForwards(files.live, codec)) entries.push(...batch.entries);
    expect(texts(entries)).toEqual(['a', 'b']);
  });

  it('follows through rotation and ends after the last line', async () => {
    writeFileSync(path, line('a'));
    let isOpen = true;
    const seen: string[] = [];
    const reading = (async () => {
      for await (const entries of follow({
        path,
        codec,
        live: undefined,
        from: 0,
        isOpen: () => isOpen,
        signal: new AbortController().signal,
      }))
        seen.push(...texts(entries));
    })();
    const sees = (count: number) => poll({ everyMs: 5, timeoutMs: 5000 }, () => seen.length === count || undefined);
    await sees(1);
    appendFileSync(path, line('b').slice(0, 10));
    appendFileSync(path, line('b').slice(10));
    await sees(2);
    appendFileSync(path, line('c'));
    renameSync(path, `${path}.1`);
    writeFileSync(path, line('d'));
    await sees(4);
    appendFileSync(path, line('e'));
    // twice between two looks
    renameSync(`${path}.1`, `${path}.3`);
    renameSync(path, `${path}.2`);
    writeFileSync(`${path}.1`, line('f'));
    writeFileSync(path, line('long g'));
    await sees(7);
    writeFileSync(path, ''); // emptied by hand
    appendFileSync(path, line('h'));
    await sees(8);
    isOpen = false;
    await reading;
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'long g', 'h']);
  });
});
