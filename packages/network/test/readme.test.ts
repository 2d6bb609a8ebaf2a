/** The example of the README is run as it stands, in a network namespace of its own. */
import { execFile } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { TestHost } from '../src/testsuite/test-host.ts';

test('the example runs', async () => {
  const [, code] = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(import.meta.dirname, '../README.md'), 'utf8')) ?? [];
  // inside of the package, so that it finds the package by its name
  const path = join(import.meta.dirname, `readme-example-${process.pid}.ts`);
  await using host = new TestHost();
  writeFileSync(path, code ?? '');
  try {
    const { stdout } = await promisify(execFile)(
      'nsenter',
      [`--net=${host.namespace}`, process.execPath, '--conditions=@boxship/source', '--no-warnings', path],
      { timeout: 20_000 },
    );
    expect(stdout).toMatch(/netns\/web 10\.88\.0\.2 8080\n$/);
  } finally {
    rmSync(path);
  }
});
