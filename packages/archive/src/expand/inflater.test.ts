import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { GzipInflater } from './inflater.ts';

/** What comes out of pieces of `inBytes`, with room for `outBytes` at a time. */
function expand(input: Buffer, inBytes: number, outBytes: number): Buffer {
  using inflater = GzipInflater.open();
  if (inflater === undefined) throw new Error('this Node.js does not export its zlib');
  const parts: Buffer[] = [];
  for (let at = 0; at < input.length; at += inBytes) {
    inflater.push(input.subarray(at, at + inBytes));
    for (;;) {
      const room = Buffer.alloc(outBytes);
      const got = inflater.next(room);
      parts.push(room.subarray(0, got));
      if (got < outBytes) break;
    }
  }
  inflater.finish();
  return Buffer.concat(parts);
}

describe('gzip', () => {
  const one = Buffer.concat([randomBytes(30_000), Buffer.alloc(40_000, 'again and '), randomBytes(500)]);
  const two = randomBytes(9000);
  const members = Buffer.concat([gzipSync(one), gzipSync(Buffer.alloc(0)), gzipSync(two), Buffer.alloc(700)]);
  const whole = Buffer.concat([one, two]);

  it.each([
    [1, 1000],
    [7, 1],
    [gzipSync(one).length, 4096], // a member ends with a piece
    [gzipSync(one).length + 1, 1_000_000],
    [1_000_000, whole.length], // the output is full when all is done
    [1_000_000, 13],
  ])('is expanded in pieces of %i bytes into rooms of %i', (inBytes, outBytes) => {
    expect(expand(members, inBytes, outBytes).equals(whole)).toBe(true);
  });
  it.each([
    ['a cut one', gzipSync(one).subarray(0, 20_000)],
    ['a cut header', gzipSync(one).subarray(0, 5)],
    ['a cut second member', members.subarray(0, gzipSync(one).length + 5)],
    ['a wrong sum', Buffer.concat([gzipSync(one).subarray(0, -8), Buffer.alloc(8, 0x55)])],
    ['what is behind it', Buffer.concat([gzipSync(one), Buffer.from('something else')])],
  ])('is refused for %s', (_, input) => {
    expect(() => expand(input, 4096, 4096)).toThrow(expect.objectContaining({ kind: 'invalidArgument' }));
  });
});
