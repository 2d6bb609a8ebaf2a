/** Durations, sizes and identifiers, as Go and Docker write them. */
import { describe, expect, it } from 'vitest';
import { formatDurationNs, parseDurationNs } from './duration.ts';
import { checkIdentifier, randomId, shortId } from './ids.ts';
import { formatBinarySize, formatSize, parseSize } from './size.ts';

describe('durations', () => {
  it.each([
    ['0', 0],
    ['1ns', 1],
    ['1.5us', 1500],
    ['2µs', 2000],
    ['100ms', 1e8],
    ['.5s', 5e8],
    ['1h15m30.5s', 4530.5e9],
    ['-1m', -60e9],
    ['+3s', 3e9],
  ])('%s is %d ns', (text, ns) => {
    expect(parseDurationNs(text)).toBe(ns);
  });

  it.each([
    ['', 'time: invalid duration ""'],
    ['abc', 'time: invalid duration "abc"'],
    ['10', 'time: missing unit in duration "10"'],
    ['1d', 'time: unknown unit "d" in duration "1d"'],
    ['1s-', 'time: invalid duration "1s-"'],
  ])("%s is refused in Go's words", (text, message) => {
    expect(() => parseDurationNs(text)).toThrow(message);
  });

  it.each([
    [0, '0s'],
    [999, '999ns'],
    [1500, '1.5µs'],
    [2_000_000, '2ms'],
    [1.5e9, '1.5s'],
    [60e9, '1m0s'],
    [3600e9, '1h0m0s'],
    [4530.5e9, '1h15m30.5s'],
    [-90e9, '-1m30s'],
  ])('%d ns are printed as %s', (ns, text) => {
    expect(formatDurationNs(ns)).toBe(text);
  });

  it('what is printed is read back', () => {
    for (let ns = 1; ns < 1e15; ns = ns * 3 + 7) expect([ns, parseDurationNs(formatDurationNs(ns))]).toEqual([ns, ns]);
  });
});

describe('sizes', () => {
  it.each([
    ['0', 0],
    ['100', 100],
    ['1b', 1],
    ['1k', 1024],
    ['1kb', 1024],
    ['1KiB', 1024],
    ['512m', 512 * 1024 ** 2],
    ['1.5GiB', 1.5 * 1024 ** 3],
    ['2 T', 2 * 1024 ** 4],
    ['1p', 1024 ** 5],
  ])('%s is %d bytes', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'm', '-1', '1x', '1e3', '1kk', '0x10', '1 k b'])('%s is no size', (text) => {
    expect(() => parseSize(text)).toThrow(`invalid size: '${text}'`);
  });

  it.each([
    [0, '0B', '0B'],
    [999, '999B', '999B'],
    [1000, '1kB', '1000B'],
    [1024, '1.024kB', '1KiB'],
    [1_984_000, '1.984MB', '1.892MiB'],
    [25_276_000_000, '25.28GB', '23.54GiB'],
    [3e18, '3EB', '2.602EiB'],
  ])('%d bytes are printed as %s and %s', (bytes, decimal, binary) => {
    expect([formatSize(bytes), formatBinarySize(bytes)]).toEqual([decimal, binary]);
  });

  it('has three figures in the list of images', () => {
    expect(formatSize(1_984_321, 3)).toBe('1.98MB');
  });
});

describe('identifiers', () => {
  it('are 64 hex digits whose short form is no number', () => {
    for (let i = 0; i < 200; i++) {
      const id = randomId();
      expect(id).toMatch(/^[0-9a-f]{64}$/);
      expect(shortId(id)).toMatch(/^(?=.*[a-f])[0-9a-f]{12}$/);
    }
  });

  it.each(['a', 'A1', 'a.b', 'a-b_c.d', 'x'.repeat(76)])('%s is one', (id) => {
    expect(checkIdentifier(id)).toBe(id);
  });

  it.each(['', '.a', 'a.', 'a..b', 'a/b', '../x', 'a b', 'ä', 'a\n', 'x'.repeat(77)])('%j is none', (id) => {
    expect(() => checkIdentifier(id)).toThrow(expect.objectContaining({ kind: 'invalidArgument' }));
  });
});
