import { describe, expect, test } from 'vitest';
import { broadcastOf, doOverlap, formatPrefix, isInside, parsePrefix, subnetAt } from './prefix.ts';

describe('prefixes', () => {
  test.each([
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['192.168.7.9/32', '192.168.7.9/32'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['fd00:1:2::ffff/48', 'fd00:1:2::/48'],
    ['::1/128', '::1/128'],
    ['1:0:0:2:0:0:0:3/128', '1:0:0:2::3/128'],
    ['::ffff:10.0.0.1/128', '::ffff:a00:1/128'],
  ])('%s is %s', (text, canonical) => expect(formatPrefix(parsePrefix(text))).toBe(canonical));

  test.each([
    '',
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0/8',
    '300.0.0.0/8',
    'fd00::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8 ',
    'x/8',
  ])('%j is refused in the words of Go', (text) =>
    expect(() => parsePrefix(text)).toThrow(`invalid CIDR address: ${text}`),
  );

  test('overlap is containment in either direction, never across families', () => {
    const overlap = (a: string, b: string): boolean => doOverlap(parsePrefix(a), parsePrefix(b));
    expect(overlap('10.0.0.0/8', '10.9.0.0/16')).toBe(true);
    expect(overlap('10.9.0.0/16', '10.0.0.0/8')).toBe(true);
    expect(overlap('10.8.0.0/16', '10.9.0.0/16')).toBe(false);
    expect(overlap('0.0.0.0/0', '::/0')).toBe(false);
  });

  test('subnets of a pool, to its end', () => {
    const pool = parsePrefix('172.20.0.0/14');
    expect([0, 3, 4].map((index) => subnetAt(pool, 16, index)).map((p) => p && formatPrefix(p))).toEqual([
      '172.20.0.0/16',
      '172.23.0.0/16',
      undefined,
    ]);
  });

  test('membership and broadcast', () => {
    expect(isInside('10.0.0.255', parsePrefix('10.0.0.0/24'))).toBe(true);
    expect(isInside('10.0.1.0', parsePrefix('10.0.0.0/24'))).toBe(false);
    expect(isInside('fd00::1', parsePrefix('10.0.0.0/24'))).toBe(false);
    expect(broadcastOf(parsePrefix('10.0.0.0/24'))).toBe('10.0.0.255');
    expect(broadcastOf(parsePrefix('10.0.0.0/31'))).toBeUndefined();
  });
});
