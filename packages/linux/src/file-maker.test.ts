import { closeSync, fstatSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { FileMaker } from './file-maker.ts';

let base: string;
let directory: number;
beforeAll(() => {
  base = mkdtempSync(join(tmpdir(), 'file-maker-'));
  directory = openSync(base, 'r');
});
afterAll(() => {
  closeSync(directory);
  rmSync(base, { recursive: true, force: true });
});

it('makes files with their modes, whatever bytes their names are, and says which it cannot make', () => {
  symlinkSync('/nowhere', join(base, 'link'));
  const maker = new FileMaker();
  const longest = 'n'.repeat(255);
  const names = ['plain', 'plain', 'link', 'no\xffutf8', 'a/b', longest];
  for (const [index, name] of names.entries()) maker.add(name, index === 0 ? 0o640 : 0o600);
  expect(maker.count).toBe(names.length);
  const fds = [...maker.make(directory)];
  const { EEXIST, ENOENT } = constants.errno;
  expect(fds.map((fd) => Math.min(fd, 0))).toEqual([0, -EEXIST, -EEXIST, 0, -ENOENT, 0]);
  const [first, latin, long] = [fds[0], fds[3], fds[5]] as [number, number, number];
  expect([first, latin].map((fd) => fstatSync(fd).mode & 0o777)).toEqual([0o640, 0o600]);
  for (const fd of [first, latin, long]) {
    expect(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8')).toMatch(/flags:\s+02\d*1$/m); // close-on-exec, for writing
    closeSync(fd);
  }
  expect(readdirSync(base, { encoding: 'latin1' }).sort()).toEqual(['link', longest, 'no\xffutf8', 'plain']);
});

it('begins anew, and refuses what it has no room for', () => {
  const maker = new FileMaker();
  expect([...maker.make(directory)]).toEqual([]);
  for (let index = 0; !maker.isFull; index++) maker.add(`many-${index}`, 0o600);
  const { count } = maker;
  expect(() => maker.add('more', 0o600)).toThrow('no room');
  for (const fd of maker.make(directory)) closeSync(fd);
  expect(maker.count).toBe(0);
  expect(readdirSync(base).filter((name) => name.startsWith('many-'))).toHaveLength(count);
  expect([255, 256].map((length) => FileMaker.takes('n'.repeat(length)))).toEqual([true, false]);
  expect(() => maker.add('n'.repeat(256), 0o600)).toThrow('no room');
  expect(() => maker.add('with\0nul', 0o600)).toThrow('NUL');
});
