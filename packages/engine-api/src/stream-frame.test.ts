import { describe, expect, it } from 'vitest';
import { encodeFrame, FrameDecoder, streamTypes } from './stream-frame.ts';

describe('stream frames', () => {
  it('writes the bytes that Docker writes', () => {
    expect(encodeFrame(streamTypes.stdout, Buffer.from('hello\n')).toString('hex')).toBe(
      '010000000000000668656c6c6f0a',
    );
  });

  it('decodes whatever the cuts are', () => {
    const wire = Buffer.concat([
      encodeFrame(streamTypes.stdout, Buffer.from('one')),
      encodeFrame(streamTypes.stderr, Buffer.from([1, 0, 0, 0, 0, 0, 0, 9])),
      encodeFrame(streamTypes.stdout, Buffer.alloc(0)),
      encodeFrame(streamTypes.stdout, Buffer.from('two')),
    ]);
    for (let size = 1; size <= wire.length; size++) {
      const decoder = new FrameDecoder();
      const seen: Record<number, Buffer> = {};
      for (let at = 0; at < wire.length; at += size)
        for (const { stream, payload } of decoder.push(wire.subarray(at, at + size)))
          seen[stream] = Buffer.concat([seen[stream] ?? Buffer.alloc(0), payload]);
      expect(seen[1]?.toString()).toBe('onetwo');
      expect(seen[2]?.toString('hex')).toBe('0100000000000009');
    }
  });

  it('refuses what is no frame', () => {
    expect(() => new FrameDecoder().push(Buffer.from('HTTP/1.1 404'))).toThrow('unrecognized stream: 72');
  });
});
