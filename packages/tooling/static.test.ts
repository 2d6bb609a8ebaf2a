/** What the compiler and the linter say of the whole checkout, tests included: builds see only `src`. */
import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');

/** What the program has to say; empty when it is content. */
function complaints(program: string, args: readonly string[]): Promise<string> {
  return new Promise((done) => {
    const path = resolve(root, 'node_modules/.bin', program);
    execFile(path, args, { cwd: root, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      done(error === null ? '' : `${stdout}${stderr}` || String(error));
    });
  });
}

it('has types that fit, in sources and tests', { timeout: 300_000 }, async () => {
  expect(await complaints('tsc', ['--noEmit', '-p', 'tsconfig.json'])).toBe('');
});

it('is formatted and free of lint', { timeout: 300_000 }, async () => {
  expect(await complaints('biome', ['check', '.'])).toBe('');
});
