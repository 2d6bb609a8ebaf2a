import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { poll } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { codecOf } from './log-codec.ts';
import type { LogCodec, LogEntry } from './log-entry.ts';
import { follow, readTail, readWhole } from './log-file.ts';

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
  const all = () => true;
  const texts = (entries: readonly LogEntry[]) => entries.map(({ line: bytes }) => bytes.toString().trim());

  it('takes the tail over rotated and compressed files', async () => {
    writeFileSync(`${path}.2.gz`, gzipSync(lines(0, 5)));
    writeFileSync(`${path}.1`, lines(5, 10));
    writeFileSync(path, lines(10, 12));
    expect(texts((await readTail(path, 4, codec, all)).entries)).toEqual(['l8', 'l9', 'l10', 'l11']);
    expect(texts((await readTail(path, 9, codec, all)).entries)[0]).toBe('l3');
    expect(texts((await readTail(path, 100, codec, all)).entries).length).toBe(12);
    expect(texts((await readTail(path, 0, codec, all)).entries)).toEqual([]);
  });

  it('takes the tail of a file larger than a block', async () => {
    writeFileSync(path, lines(0, 5000));
    const { entries, end } = await readTail(path, 3, codec, all);
    expect(texts(entries)).toEqual(['l4997', 'l4998', 'l4999']);
    expect(end).toBe(Buffer.byteLength(lines(0, 5000)));
    expect(texts((await readTail(path, 4999, codec, all)).entries)[0]).toBe('l1');
  });

  it('leaves torn lines out', async () => {
    writeFileSync(path, `${line('a')}{"log":"torn\n${line('b')}`);
    const entries = [];
    for await (const entry of readWhole(path, codec)) entries.push(entry);
    expect(texts(entries)).toEqual(['a', 'b']);
  });

  it('follows through rotation and ends after the last line', async () => {
    writeFileSync(path, line('a'));
    let isOpen = true;
    const seen: string[] = [];
    const reading = (async () => {
      for await (const entry of follow({
        path,
        codec,
        from: 0,
        isOpen: () => isOpen,
        signal: new AbortController().signal,
      }))
        seen.push(entry.line.toString().trim());
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
    isOpen = false;
    await reading;
    expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
  });
});
