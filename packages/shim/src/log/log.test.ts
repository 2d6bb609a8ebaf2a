import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { silentLogger } from '@boxship/base';
import { mount, unmount } from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_LINE_BYTES } from './format.ts';
import { JsonFormat, rfc3339Nano } from './json-format.ts';
import type { LoggerOptions } from './logging-uri.ts';
import { openLog } from './open-log.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'log-'));
  path = join(directory, 'x-json.log');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const options = (extra: Partial<LoggerOptions> = {}): LoggerOptions => ({
  driver: 'json-file',
  path,
  maxSizeBytes: undefined,
  maxFiles: 1,
  isCompressed: false,
  attrs: {},
  attachPath: undefined,
  ...extra,
});
const open = (extra: Partial<LoggerOptions> = {}) => {
  const writer = openLog(options(extra), silentLogger);
  if (writer === undefined) throw new Error('no writer');
  return writer;
};
const records = (file = path) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { log: string; stream: string; time: string; attrs?: object });
const time = 1_700_000_000_123_456_000n;

describe('json-file', () => {
  it('writes the bytes that Docker writes', () => {
    const writer = open({ attrs: { a: 'b' } });
    writer.write('stdout', Buffer.from('a "quoted" \\ <tag> & tab\t \u001b[0m é \u2028 \r\n'), time);
    expect(readFileSync(path, 'utf8')).toBe(
      '{"log":"a \\"quoted\\" \\\\ \\u003ctag\\u003e \\u0026 tab\\u0009 \\u001b[0m é \\u2028 \\r\\n","stream":"stdout","attrs":{"a":"b"},"time":"2023-11-14T22:13:20.123456Z"}\n',
    );
    writer.close();
  });

  it('gives the same bytes line by line and many lines at a time', () => {
    const format = new JsonFormat({ näme: '$& $1 "é"' });
    format.setTime(time);
    const lines = ['plain', '', 'gr\u00fc\u00dfe', 'a\u20ac\ud83d\ude00', 'more', 'x'.repeat(300)];
    const text = Buffer.from(lines.join('\n'));
    const out = Buffer.alloc(64 * 1024);
    let end = 0;
    for (let from = 0; from <= text.length; ) {
      const newline = text.indexOf('\n', from);
      const to = newline < 0 ? text.length : newline;
      end = format.encode(out, end, { stream: 'stderr', bytes: text, from, to, isLineEnd: true, part: 0 });
      from = to + 1;
    }
    const encoded = format.encodeLines('stderr', text, 0, text.length);
    expect(encoded?.records).toBe(lines.length);
    expect(Buffer.from(encoded?.latin1 ?? '', 'latin1').toString()).toBe(out.toString('utf8', 0, end));
    const hard = ['"', '\\', '<', '>', '&', '\0', '\r', '\t', '\u2028', '\u2029', '\x1f'].map((char) =>
      Buffer.from(char),
    );
    for (const bytes of [...hard, Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xed, 0xa0, 0x80])])
      expect(
        format.encodeLines('stderr', Buffer.concat([Buffer.from('a\nb'), bytes]), 0, 3 + bytes.length),
      ).toBeUndefined();
  });

  it('keeps the rest of a line back, and writes it without newline at the end', () => {
    const writer = open();
    const first = Buffer.from('one\ntw');
    expect(writer.write('stdout', first, time)).toBe(4);
    writer.finish('stdout', first.subarray(4), time);
    expect(records().map((r) => r.log)).toEqual(['one\n', 'tw']);
    writer.close();
  });

  it('cuts long lines into parts of 16 KiB, not within a character', () => {
    const writer = open();
    const text = `${'x'.repeat(MAX_LINE_BYTES)}\n${'é'.repeat(MAX_LINE_BYTES)}\n${'y'.repeat(MAX_LINE_BYTES - 2)}€€\n`;
    const bytes = Buffer.from(text);
    expect(writer.write('stdout', bytes, time)).toBe(bytes.length);
    const logs = records().map((r) => r.log);
    expect(logs.join('')).toBe(text);
    expect(logs.every((log) => Buffer.byteLength(log.replace('\n', '')) <= MAX_LINE_BYTES)).toBe(true);
    expect(logs[0]).toBe('x'.repeat(MAX_LINE_BYTES)); // full parts carry no newline; an empty one ends the line
    expect(logs[1]).toBe('\n');
    writer.close();
  });

  it('any bytes, cut anywhere, give valid JSON with the same text', () => {
    let seed = 7;
    const random = (n: number) => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return seed % n;
    };
    for (let round = 0; round < 200; round++) {
      rmSync(path, { force: true });
      const writer = open();
      const bytes = Buffer.from(Array.from({ length: random(400) }, () => (random(4) === 0 ? 10 : random(256))));
      let carried: Buffer = Buffer.alloc(0);
      for (let at = 0; at < bytes.length; ) {
        const n = 1 + random(50);
        const all = Buffer.concat([carried, bytes.subarray(at, at + n)]);
        carried = all.subarray(writer.write('stderr', all, time));
        at += n;
      }
      writer.finish('stderr', carried, time);
      const expected = bytes
        .toString('latin1')
        .split(/(?<=\n)/)
        .map((line) => Buffer.from(line, 'latin1').toString('utf8'))
        .join('');
      // how many replacement characters stand for a broken sequence differs between decoders
      const squeeze = (text: string) => text.replace(/\ufffd+/g, '\ufffd');
      expect(
        squeeze(
          records()
            .map((r) => r.log)
            .join(''),
        ),
      ).toBe(squeeze(expected));
      writer.close();
    }
  });

  it("rotates by size and count, with Docker's names, between records", () => {
    const writer = open({ maxSizeBytes: 1000, maxFiles: 3 });
    const lines = Array.from({ length: 60 }, (_, i) => `line ${i} ${'z'.repeat(20)}\n`);
    writer.write('stdout', Buffer.from(lines.join('')), time);
    writer.close();
    expect(readdirSync(directory).toSorted()).toEqual(['x-json.log', 'x-json.log.1', 'x-json.log.2']);
    const kept = [`${path}.2`, `${path}.1`, path].flatMap((file) => records(file).map((r) => r.log));
    expect(kept).toEqual(lines.slice(-kept.length));
    expect(kept.length).toBeGreaterThan(20);
    for (const file of [`${path}.2`, `${path}.1`]) expect(statSync(file).size).toBeLessThan(1000 + 120);
  });

  it('with one file only, drops what was there', () => {
    const writer = open({ maxSizeBytes: 500 });
    for (let i = 0; i < 30; i++) writer.write('stdout', Buffer.from(`line ${i}\n`), time);
    writer.close();
    expect(readdirSync(directory)).toEqual(['x-json.log']);
    expect(records().at(-1)?.log).toBe('line 29\n');
    expect(statSync(path).size).toBeLessThan(600);
  });

  it('compresses rotated files', async () => {
    const writer = open({ maxSizeBytes: 300, maxFiles: 2, isCompressed: true });
    for (let i = 0; i < 5; i++) writer.write('stdout', Buffer.from(`line ${i} ${'q'.repeat(30)}\n`), time);
    writer.close();
    await expect.poll(() => existsSync(`${path}.1.gz`) && !existsSync(`${path}.1`)).toBe(true);
    expect(gunzipSync(readFileSync(`${path}.1.gz`)).toString()).toContain('"log":"line ');
  });

  it('repairs a torn end at open', () => {
    const whole = '{"log":"a\\n","stream":"stdout","time":"2023-11-14T22:13:20Z"}\n';
    writeFileSync(path, `${whole}{"log":"tor`);
    const writer = open();
    writer.write('stdout', Buffer.from('b\n'), time);
    writer.close();
    expect(records().map((r) => r.log)).toEqual(['a\n', 'b\n']);
  });

  it('a full disk drops lines, says how many, and leaves every record whole', () => {
    const point = join(directory, 'small');
    execFileSync('mkdir', [point]);
    mount({ type: 'tmpfs', source: 'tmpfs', target: point, options: ['size=64k'] });
    const writer = open({ path: join(point, 'l') });
    try {
      const line = Buffer.from(`${'w'.repeat(1000)}\n`);
      for (let i = 0; i < 100; i++) expect(writer.write('stdout', line, time)).toBe(line.length);
      const before = records(join(point, 'l')).length;
      expect(before).toBeLessThan(100);
      execFileSync('mount', ['-o', 'remount,size=1m', point]);
      writer.write('stdout', line, time);
      const after = records(join(point, 'l'));
      expect(after.at(-2)).toMatchObject({
        stream: 'stderr',
        log: expect.stringContaining(`${100 - before} lines dropped`) as string,
      });
      expect(after.length).toBe(before + 2);
    } finally {
      writer.close();
      unmount(point);
    }
  });

  it("times have Go's form", () => {
    expect(rfc3339Nano(1_700_000_000_000_000_000n)).toBe('2023-11-14T22:13:20Z');
    expect(rfc3339Nano(1_700_000_000_100_000_000n)).toBe('2023-11-14T22:13:20.1Z');
    expect(rfc3339Nano(1_700_000_000_000_000_001n)).toBe('2023-11-14T22:13:20.000000001Z');
    expect(new JsonFormat().maxRecordBytes(1)).toBeGreaterThan(100);
  });
});

describe('local', () => {
  it('frames records by their length on both sides and repairs a torn end', () => {
    const writer = open({ driver: 'local' });
    writer.write('stdout', Buffer.from(`one\n${'p'.repeat(MAX_LINE_BYTES)}rest\n`), time);
    writer.close();
    const bytes = readFileSync(path);
    const sizes: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const size = bytes.readUInt32BE(at);
      expect(bytes.readUInt32BE(at + 4 + size)).toBe(size);
      sizes.push(size);
      at += size + 8;
    }
    expect(sizes).toHaveLength(3);
    const fd = openSync(path, 'a');
    writeSync(fd, Buffer.from([0, 0, 0, 99, 1, 2]));
    closeSync(fd);
    open({ driver: 'local' }).close();
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });
});
