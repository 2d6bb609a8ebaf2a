import { closeSync, existsSync, openSync } from 'node:fs';
import { expect, it } from 'vitest';
import { closeAll } from './close-range.ts';

const isOpen = (fd: number): boolean => existsSync(`/proc/self/fd/${fd}`);

it('closes what it is given, in whatever order, and nothing between', () => {
  const fds = Array.from({ length: 12 }, () => openSync('/dev/null', 'r'));
  const kept = [fds[3], fds[8]] as number[];
  const given = fds.filter((fd) => !kept.includes(fd)).reverse();
  closeAll(given);
  expect(given.filter(isOpen)).toEqual([]);
  expect(kept.filter(isOpen)).toEqual(kept);
  for (const fd of kept) closeSync(fd);
  closeAll([]);
  const [gone, between, last] = [0, 0, 0].map(() => openSync('/dev/null', 'r')) as [number, number, number];
  closeSync(gone);
  expect(() => closeAll([gone, last])).toThrow('EBADF');
  expect([between, last].filter(isOpen)).toEqual([between]);
  closeSync(between);
});
