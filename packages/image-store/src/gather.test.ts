import { describe, expect, it } from 'vitest';
import { gather } from './gather.ts';

async function sizes(source: AsyncIterable<Uint8Array>): Promise<{ sizes: number[]; text: string; error: unknown }> {
  const seen: number[] = [];
  let text = '';
  let error: unknown;
  try {
    for await (const piece of gather(source)) {
      seen.push(piece.length);
      text += Buffer.from(piece).toString('latin1');
    }
  } catch (thrown) {
    error = thrown;
  }
  return { sizes: seen, text, error };
}

const kib = (count: number, letter: string) => Buffer.alloc(count * 1024, letter);

describe('gathering', () => {
  it('makes few large pieces of many small ones, in order', async () => {
    const pieces = Array.from({ length: 20 }, (_, i) => kib(64, String.fromCharCode(97 + i)));
    const seen = await sizes(
      (async function* () {
        yield* pieces;
      })(),
    );
    expect(seen.sizes).toEqual([512, 512, 256].map((size) => size * 1024));
    expect(seen.text).toBe(Buffer.concat(pieces).toString('latin1'));
  });

  it('passes large pieces on as they are', async () => {
    const source = (async function* () {
      yield kib(1, 'a');
      yield kib(900, 'b');
      yield kib(1, 'c');
    })();
    expect((await sizes(source)).sizes).toEqual([1, 900, 1].map((size) => size * 1024));
  });

  it('gives what had come before a failure, and then the failure', async () => {
    const failure = new Error('cut');
    const source = (async function* () {
      yield kib(3, 'a');
      throw failure;
    })();
    expect(await sizes(source)).toEqual({ sizes: [3 * 1024], text: kib(3, 'a').toString(), error: failure });
  });

  it('holds nothing back for long', async () => {
    const source = (async function* () {
      yield kib(1, 'a');
      await new Promise((resolve) => setTimeout(resolve, 50));
      yield kib(1, 'b');
      yield kib(1, 'c');
    })();
    expect((await sizes(source)).sizes).toEqual([1024, 2 * 1024]);
  });

  it('ends its source when nobody wants more', async () => {
    let isEnded = false;
    const source = (async function* () {
      try {
        for (;;) yield kib(300, 'a');
      } finally {
        isEnded = true;
      }
    })();
    for await (const _ of gather(source)) break;
    expect(isEnded).toBe(true);
  });
});
