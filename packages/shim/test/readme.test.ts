import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeExecutable } from './harness.ts';

it('the example of the README runs', () => {
  const directory = join(import.meta.dirname, '..');
  const code = /```ts\n([\s\S]*?)```/.exec(readFileSync(join(directory, 'README.md'), 'utf8'))?.[1] ?? '';
  const file = join(directory, 'test', '.readme-example.ts');
  const bin = mkdtempSync(join(tmpdir(), 'shim-readme-'));
  const shim = makeExecutable(bin, 'containerd-shim-boxship-v2', 'main.ts');
  writeFileSync(file, `${code}\n(await import('node:fs')).rmSync(root, { recursive: true });\n`);
  try {
    const flags = ['--conditions=@boxship/source', '--no-warnings', file];
    const output = execFileSync(process.execPath, flags, { timeout: 25_000, env: { ...process.env, SHIM: shim } });
    expect(output.toString()).toBe('exit status 0\ntrue\n');
  } finally {
    rmSync(file);
    rmSync(bin, { recursive: true });
  }
});
