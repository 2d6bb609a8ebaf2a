/** What tables show: times, columns, ports; and the keys that leave a terminal. */
import { describe, expect, it } from 'vitest';
import { DetachWatch, defaultDetachKeys, parseDetachKeys } from '../stream/detach-keys.ts';
import { ellipsis, goTime, humanDuration, shortDigest } from './humanize.ts';
import { formatPorts } from './ports.ts';
import { layout } from './table.ts';

const hour = 3600;
const day = 24 * hour;

it.each([
  [0.5, 'Less than a second'],
  [1, '1 second'],
  [59, '59 seconds'],
  [60, 'About a minute'],
  [119, 'About a minute'],
  [120, '2 minutes'],
  [59 * 60, '59 minutes'],
  [hour, 'About an hour'],
  [47 * hour, '47 hours'],
  [2 * day, '2 days'],
  [13 * day, '13 days'],
  [14 * day, '2 weeks'],
  [60 * day, '2 months'],
  [730 * day, '2 years'],
])('%d s is %s', (seconds, text) => {
  expect(humanDuration(seconds)).toBe(text);
});

it('times, names and ids', () => {
  expect(goTime(0)).toBe('1970-01-01 00:00:00 +0000 UTC');
  expect([ellipsis('abcdef', 6), ellipsis('abcdef', 5), ellipsis('äöüß', 3)]).toEqual(['abcdef', 'abcd…', 'äö…']);
  expect(shortDigest(`sha256:${'0123456789abcdef'.repeat(4)}`)).toBe('0123456789ab');
});

it('columns are at least ten wide and three apart; the last is as it is', () => {
  expect(
    layout([
      ['A', 'LONG HEADER', 'END'],
      ['x', 'y', ''],
    ]),
  ).toBe('A         LONG HEADER   END\nx         y             \n');
});

describe('ports', () => {
  const port = (PrivatePort: number, PublicPort?: number, IP?: string, Type = 'tcp') => ({
    PrivatePort,
    Type,
    ...(PublicPort === undefined ? {} : { PublicPort }),
    ...(IP === undefined ? {} : { IP }),
  });
  it.each([
    [[], ''],
    [[port(80)], '80/tcp'],
    [[port(80, 8080, '0.0.0.0')], '0.0.0.0:8080->80/tcp'],
    [[port(80, 8080, '::')], '[::]:8080->80/tcp'],
    [[port(81, 8081, '0.0.0.0'), port(80, 8080, '0.0.0.0')], '0.0.0.0:8080-8081->80-81/tcp'],
    [[port(80, 8080, '0.0.0.0'), port(81, 9000, '0.0.0.0')], '0.0.0.0:8080->80/tcp, 0.0.0.0:9000->81/tcp'],
    [[port(54, undefined, undefined, 'udp'), port(53, undefined, undefined, 'udp'), port(80)], '53-54/udp, 80/tcp'],
  ])('%j', (ports, text) => {
    expect(formatPorts(ports)).toBe(text);
  });
});

describe('detach keys', () => {
  it.each([
    [defaultDetachKeys, [16, 17]],
    ['a,ctrl-b', [97, 2]],
    ['ctrl-@,ctrl-[,ctrl-_', [0, 27, 31]],
  ])('%s', (text, bytes) => {
    expect(parseDetachKeys(text)).toEqual(bytes);
  });
  it('others are refused', () => {
    expect(() => parseDetachKeys('ctrl-1')).toThrow('invalid detach keys (ctrl-1): unknown key ctrl-1');
  });
  it('are kept back, and passed on when the sequence breaks, wherever chunks end', () => {
    const through = (...chunks: string[]) => {
      const watch = new DetachWatch([1, 2]);
      const results = chunks.map((chunk) => watch.push(Buffer.from(chunk, 'latin1')));
      return [
        results.map(({ pass }) => pass.toString('latin1')).join(''),
        results.some(({ isDetached }) => isDetached),
      ];
    };
    expect(through('a\x01\x02b')).toEqual(['a', true]);
    expect(through('a\x01', '\x02')).toEqual(['a', true]);
    expect(through('\x01x\x02')).toEqual(['\x01x\x02', false]);
    expect(through('\x01\x01\x02')).toEqual(['\x01', true]);
  });
});
