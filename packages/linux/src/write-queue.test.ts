import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { mount, unmount } from './mount.ts';
import { type FileWrite, openWriteQueue, QueuedWrites } from './write-queue.ts';

const bytes = randomBytes(1024 * 1024);
const memory = new SharedArrayBuffer(bytes.length);
Buffer.from(memory).set(bytes);
const queue = openWriteQueue() as bigint;
const queued = new QueuedWrites(queue, memory);

let base: string;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'write-queue-'));
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

const open: number[] = [];
const newFile = (name: string, flags = 'wx'): number => {
  const fd = openSync(join(base, name), flags);
  open.push(fd);
  return fd;
};
const closeOpened = (): void => {
  for (const fd of open.splice(0)) closeSync(fd);
};

const readAt = (fd: number, position: number): Buffer => {
  const room = Buffer.alloc(1000);
  return room.subarray(0, readSync(fd, room, 0, room.length, position));
};

it('writes more than the kernel takes at once, each where it belongs', () => {
  const writes = Array.from({ length: 700 }, (_, index): FileWrite => {
    const length = index % 7 === 0 ? 0 : index;
    return { fd: newFile(`many-${index}`), from: 3 * index, length, position: index % 5 === 0 ? 2 ** 33 + index : 0 };
  });
  expect([...queued.write(writes)]).toEqual(writes.map(({ length }) => length));
  const large: FileWrite[] = [0, 1].map((half) => {
    const length = bytes.length / 2;
    return { fd: writes[1]?.fd as number, from: half * length, length, position: half * length };
  });
  expect([...queued.write(large)]).toEqual(large.map(({ length }) => length));
  closeOpened();
  expect(readFileSync(join(base, 'many-1')).equals(bytes)).toBe(true);
  for (const [index, { from, length, position }] of writes.entries()) {
    if (index === 1) continue;
    const fd = openSync(join(base, `many-${index}`), 'r');
    expect(readAt(fd, position).equals(bytes.subarray(from, from + length))).toBe(true);
    closeSync(fd);
  }
  expect([...queued.write([])]).toEqual([]);
});

it('says what is not written, and goes on with the next ones', () => {
  const [first, readOnly, last] = [newFile('first'), newFile('first', 'r'), newFile('last')];
  const write = (fd: number, position = 0): FileWrite => ({ fd, from: 0, length: 100, position });
  // not even taken: what comes after it is not tried
  expect([...queued.write([write(first), write(readOnly), write(last)])]).toEqual([100, 0, 0]);
  // taken, and failed: no file is that large (EFBIG)
  expect([...queued.write([write(first), write(first, Number.MAX_SAFE_INTEGER), write(last)])]).toEqual([100, 0, 100]);
  closeOpened();
  expect([...queued.write([write(last)])]).toEqual([0]);
});

it('says how much there was room for', () => {
  const target = mkdtempSync(join(base, 'full-'));
  mount({ type: 'tmpfs', source: 'tmpfs', target, options: ['size=16k'] });
  try {
    const fds = ['a', 'b', 'c'].map((name) => openSync(join(target, name), 'wx'));
    const writes = fds.map((fd): FileWrite => ({ fd, from: 0, length: 10_000, position: 0 }));
    const written = queued.write(writes);
    expect([...written]).toEqual([10_000, 4096, 0]);
    for (const fd of fds) closeSync(fd);
    expect(readFileSync(join(target, 'b')).equals(bytes.subarray(0, 4096))).toBe(true);
  } finally {
    unmount(target);
  }
});

it('is as good as new for the next thread', () => {
  const fd = newFile('next');
  expect([...new QueuedWrites(queue, memory).write([{ fd, from: 5, length: 50, position: 0 }])]).toEqual([50]);
  closeOpened();
  expect(readFileSync(join(base, 'next')).equals(bytes.subarray(5, 55))).toBe(true);
});

it('is not there when the kernel has no more', () => {
  const exhaust = `
    const { openWriteQueue } = await import(${JSON.stringify(new URL('./write-queue.ts', import.meta.url).href)});
    let count = 0;
    while (openWriteQueue() !== undefined) count++;
    console.log(count > 0);`;
  const options = ['--conditions=@boxship/source', '--input-type=module', '-e', exhaust];
  expect(execFileSync(process.execPath, options, { encoding: 'utf8' })).toBe('true\n');
});
