import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openWriteQueue, QueuedWrites } from '@boxship/linux';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ContentsBatch } from './contents-batch.ts';
import { ContentsWriter, type WriteMany } from './contents-writer.ts';

const bytes = randomBytes(100_000);
const memory = new SharedArrayBuffer(bytes.length);
Buffer.from(memory).set(bytes);
const queued = new QueuedWrites(openWriteQueue() as bigint, memory);
const mtime = { seconds: 1_000_000, nanoseconds: 500_000_000 };

let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'contents-writer-'));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

it.each<[string, WriteMany | undefined]>([
  ['the queue writes all', (writes) => queued.write(writes)],
  ['the kernel has no queue', undefined],
  ['the queue takes no more than some', (writes) => queued.write(writes.slice(0, 2))],
  ['the queue stops short', (writes) => queued.write(writes.map((one) => ({ ...one, length: one.length >> 1 })))],
])('files are whole when %s', (name, writeMany) => {
  const directory = mkdtempSync(join(base, 'whole-'));
  const batch = new ContentsBatch();
  const lengths = [4096, 1, 0, 5000, 300];
  const fds = lengths.map((length, index) => {
    const fd = openSync(join(directory, `${index}`), 'wx');
    batch.add(fd, 100 * index, length, 0);
    if (index === 3) batch.add(fd, 7, 50, 6000); // after a hole
    batch.close(mtime, index === 4 ? 9000 : undefined);
    return fd;
  });
  const writer = new ContentsWriter(memory, writeMany);
  expect([name, writer.write(batch.take()), writer.error]).toEqual([name, lengths.length, undefined]);
  expect(fds.filter((fd) => existsSync(`/proc/self/fd/${fd}`))).toEqual([]);
  const part = (index: number): Buffer => bytes.subarray(100 * index, 100 * index + (lengths[index] as number));
  const expected = [
    part(0),
    part(1),
    part(2),
    Buffer.concat([part(3), Buffer.alloc(1000), bytes.subarray(7, 57)]),
    Buffer.concat([part(4), Buffer.alloc(8700)]),
  ];
  for (const [index, content] of expected.entries()) {
    const path = join(directory, `${index}`);
    expect([index, readFileSync(path).equals(content), statSync(path).mtimeMs]).toEqual([index, true, 1_000_000_500]);
  }
});

it('the error of one write is told, and all files are closed', () => {
  const batch = new ContentsBatch();
  const fds = ['before', 'tooLarge', 'after'].map((name) => {
    const fd = openSync(join(base, name), 'wx');
    batch.add(fd, 0, 100, name === 'tooLarge' ? 2 ** 52 : 0);
    batch.close(mtime, undefined);
    return fd;
  });
  const writer = new ContentsWriter(memory, (writes) => queued.write(writes));
  expect(writer.write(batch.take())).toBe(3);
  expect(writer.error).toMatchObject({ code: 'EFBIG' });
  expect(fds.filter((fd) => existsSync(`/proc/self/fd/${fd}`))).toEqual([]);
});
