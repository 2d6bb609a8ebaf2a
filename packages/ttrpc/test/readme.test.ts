import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('the example of the README runs', () => {
  const directory = join(import.meta.dirname, '..');
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(directory, 'README.md'), 'utf8'))?.[1] ?? '';
  const file = join(directory, 'test', '.readme-example.ts');
  rmSync('/tmp/greeter.sock', { force: true });
  writeFileSync(file, code);
  try {
    const output = execFileSync(process.execPath, ['--conditions=@boxship/source', '--no-warnings', file], {
      timeout: 20_000,
    });
    expect(output.toString()).toBe('hello world\n');
  } finally {
    rmSync(file);
  }
});
