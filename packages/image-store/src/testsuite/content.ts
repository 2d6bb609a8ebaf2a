/**
 * What every content store promises. Run it on a driver, on a metadata layer, and through a wire:
 *
 *   contentSuite('memory', async () => ({ store: new MemoryContentStore(), close: async () => {} }));
 *
 * The factory makes an empty store. `vitest` is the caller's.
 */
import { BoxshipError, parseFilters } from '@boxship/base';
import { type Digest, digestOf } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ContentStore } from '../content/store.ts';

export interface ContentSuiteSubject {
  readonly store: ContentStore;
  /** A second door to the same bytes, as after a restart; absent when the store does not outlive itself. */
  readonly reopen?: () => Promise<ContentStore>;
  close(): Promise<void>;
}

const bytes = Buffer.from('some bytes of a layer');
const digest = digestOf(bytes);
const kind = (value: string) => expect.objectContaining({ kind: value });

export function contentSuite(name: string, make: () => Promise<ContentSuiteSubject>): void {
  describe(`content store: ${name}`, () => {
    let subject: ContentSuiteSubject;
    let store: ContentStore;
    beforeEach(async () => {
      subject = await make();
      store = subject.store;
    });
    afterEach(() => subject.close());

    const put = async (content: Uint8Array, labels: Record<string, string> = {}, ref = 'put'): Promise<Digest> => {
      await using writer = await store.writer({ ref, total: content.length, expected: digestOf(content), labels });
      await writer.write(content);
      return await writer.commit({ size: content.length, expected: digestOf(content) });
    };
    const read = async (options = {}): Promise<string> => {
      const parts: Uint8Array[] = [];
      for await (const part of store.read({ digest }, options)) parts.push(part);
      return Buffer.concat(parts).toString();
    };

    it('commits what was written and gives it back', async () => {
      expect(await put(bytes, { a: 'b' })).toBe(digest);
      const info = await store.info(digest);
      expect(info).toMatchObject({ digest, size: bytes.length, labels: { a: 'b' } });
      expect(Date.now() - info.createdAt.getTime()).toBeLessThan(60_000);
      expect(await read()).toBe(bytes.toString());
      expect(await read({ offset: 5 })).toBe(bytes.subarray(5).toString());
      expect(await read({ offset: 5, length: 5 })).toBe(bytes.subarray(5, 10).toString());
      expect(await read({ offset: bytes.length })).toBe('');
      await expect(read({ offset: bytes.length + 1 })).rejects.toThrow(kind('outOfRange'));
    });

    it('reads at any offset', async () => {
      await put(bytes);
      await using reader = await store.readerAt({ digest });
      expect(reader.size).toBe(bytes.length);
      const buffer = Buffer.alloc(8);
      expect(await reader.readAt(buffer, 2)).toBe(8);
      expect(buffer.toString()).toBe(bytes.subarray(2, 10).toString());
      expect(await reader.readAt(buffer, bytes.length - 3)).toBe(3);
      expect(await reader.readAt(buffer, bytes.length)).toBe(0);
    });

    it('stores an empty blob and one of several chunks', async () => {
      expect(await put(Buffer.alloc(0))).toBe(digestOf(''));
      const large = Buffer.alloc(3_000_000, 'large');
      await using writer = await store.writer({ ref: 'large', total: large.length });
      for (let at = 0; at < large.length; at += 700_001) await writer.write(large.subarray(at, at + 700_001));
      expect(writer.status().offset).toBe(large.length);
      expect(writer.digest()).toBe(digestOf(large));
      expect(await writer.commit({ size: large.length })).toBe(digestOf(large));
      let total = 0;
      for await (const part of store.read({ digest: digestOf(large) })) total += part.length;
      expect(total).toBe(large.length);
    });

    it('does not know what was never committed', async () => {
      await expect(store.info(digest)).rejects.toThrow(kind('notFound'));
      await expect(store.readerAt({ digest })).rejects.toThrow(kind('notFound'));
      await expect(read()).rejects.toThrow(kind('notFound'));
      await expect(store.delete(digest)).rejects.toThrow(kind('notFound'));
      await expect(store.update({ digest, labels: {} })).rejects.toThrow(kind('notFound'));
      await expect(store.status('none')).rejects.toThrow(kind('notFound'));
      await expect(store.abort('none')).rejects.toThrow(kind('notFound'));
      await expect(store.writer({ ref: '' })).rejects.toThrow(kind('invalidArgument'));
    });

    it('refuses to commit other bytes than promised', async () => {
      await using writer = await store.writer({ ref: 'wrong' });
      await writer.write(bytes);
      await expect(writer.commit({ size: 3 })).rejects.toThrow(kind('failedPrecondition'));
      await expect(store.info(digest)).rejects.toThrow(kind('notFound'));
      await writer[Symbol.asyncDispose]();
      await store.abort('wrong');
      await using again = await store.writer({ ref: 'wrong' });
      await again.write(bytes);
      await expect(again.commit({ expected: digestOf('other') })).rejects.toThrow(
        expect.objectContaining({
          kind: 'failedPrecondition',
          message: expect.stringContaining(`unexpected commit digest ${digest}, expected ${digestOf('other')}`),
        }),
      );
      await expect(store.info(digest)).rejects.toThrow(kind('notFound'));
    });

    it('says so when the blob is there already', async () => {
      await put(bytes);
      await expect(store.writer({ ref: 'again', expected: digest })).rejects.toThrow(kind('alreadyExists'));
      await using writer = await store.writer({ ref: 'unaware' });
      await writer.write(bytes);
      await expect(writer.commit()).rejects.toThrow(kind('alreadyExists'));
      expect(await read()).toBe(bytes.toString());
    });

    it('lets one writer at a time have a ref', async () => {
      const first = await store.writer({ ref: 'busy' });
      await first.write(bytes);
      await expect(store.writer({ ref: 'busy' })).rejects.toThrow(kind('unavailable'));
      await first[Symbol.asyncDispose]();
      await using second = await eventually(() => store.writer({ ref: 'busy' }));
      expect(second.status().offset).toBe(bytes.length);
    });

    it('resumes an unfinished write', async () => {
      {
        await using writer = await store.writer({ ref: 'cut', total: bytes.length });
        await writer.write(bytes.subarray(0, 7));
      }
      await eventually(async () => expect((await store.status('cut')).offset).toBe(7));
      const refs: string[] = [];
      for await (const status of store.statuses()) refs.push(status.ref);
      expect(refs).toEqual(['cut']);
      const resumed = subject.reopen === undefined ? store : await subject.reopen();
      await using writer = await eventually(() =>
        resumed.writer({ ref: 'cut', total: bytes.length, expected: digest }),
      );
      expect(writer.status()).toMatchObject({ ref: 'cut', offset: 7, total: bytes.length });
      await writer.write(bytes.subarray(7));
      expect(await writer.commit({ size: bytes.length, expected: digest })).toBe(digest);
      await expect(resumed.status('cut')).rejects.toThrow(kind('notFound'));
    });

    it('starts over when asked to, and when the size has changed', async () => {
      {
        await using writer = await store.writer({ ref: 'r', total: 100 });
        await writer.write(Buffer.from('garbage'));
        await writer.truncate(0);
        expect(writer.status().offset).toBe(0);
        await writer.write(Buffer.from('more'));
      }
      await using writer = await eventually(() => store.writer({ ref: 'r', total: bytes.length }));
      expect(writer.status().offset).toBe(0);
      await writer.write(bytes);
      expect(await writer.commit({ expected: digest })).toBe(digest);
    });

    it('aborts', async () => {
      {
        await using writer = await store.writer({ ref: 'x' });
        await writer.write(bytes);
      }
      await eventually(() => store.abort('x'));
      await expect(store.status('x')).rejects.toThrow(kind('notFound'));
    });

    it('changes labels wholly and singly', async () => {
      await put(bytes, { keep: '1', drop: '2' });
      expect((await store.update({ digest, labels: { add: '3' }, fields: ['add', 'drop'] })).labels).toEqual({
        keep: '1',
        add: '3',
      });
      expect((await store.update({ digest, labels: { only: '4' } })).labels).toEqual({ only: '4' });
      expect((await store.info(digest)).labels).toEqual({ only: '4' });
      await expect(store.update({ digest, labels: { big: 'x'.repeat(5000) } })).rejects.toThrow(
        kind('invalidArgument'),
      );
    });

    it('lists what matches', async () => {
      await put(bytes, { colour: 'red' }, 'one');
      await put(Buffer.from('two'), { colour: 'blue' }, 'two');
      const all = async (filters: string[]): Promise<Digest[]> => {
        const found: Digest[] = [];
        for await (const info of store.walk(parseFilters(filters))) found.push(info.digest);
        return found.sort();
      };
      expect(await all([])).toEqual([digest, digestOf('two')].sort());
      expect(await all(['labels.colour==blue'])).toEqual([digestOf('two')]);
      expect(await all([`digest==${digest}`, 'labels.colour==green'])).toEqual([digest]);
    });

    it('deletes', async () => {
      await put(bytes);
      await store.delete(digest);
      await expect(store.info(digest)).rejects.toThrow(kind('notFound'));
      await put(bytes);
      expect(await read()).toBe(bytes.toString());
    });

    it('verifies sha512 where that is asked for', async () => {
      const expected = digestOf(bytes, 'sha512');
      await using writer = await store.writer({ ref: '512', expected });
      await writer.write(bytes);
      expect(await writer.commit({ expected })).toBe(expected);
      expect((await store.info(expected)).size).toBe(bytes.length);
    });
  });
}

/** A wire closes streams after the call that ended them has returned: try again for a while. */
async function eventually<T>(work: () => Promise<T>): Promise<T> {
  for (let left = 100; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left === 0 || (BoxshipError.is(error) && error.kind === 'invalidArgument')) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}
