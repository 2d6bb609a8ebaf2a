import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('the example of the README runs', () => {
  const directory = join(import.meta.dirname, '..');
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(directory, 'README.md'), 'utf8'))?.[1] ?? '';
  const file = join(directory, 'test', '.readme-example.ts');
  const cleanUp = "\n(await import('node:fs')).rmSync(directory, { recursive: true });\n";
  writeFileSync(file, code + cleanUp);
  try {
    const output = execFileSync(process.execPath, ['--conditions=@boxship/source', '--no-warnings', file], {
      timeout: 20_000,
    });
    expect(output.toString()).toBe('hello from a container\n');
  } finally {
    rmSync(file);
  }
});
