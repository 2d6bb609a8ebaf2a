/** Runs the ```ts examples of a package's README as a reader would: as a module, with the packages of this checkout. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The output of the README's examples, run one after the other in one module. @throws when an example fails */
export function runReadme(
  packageDirectory: string,
  options: { env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): string {
  const text = readFileSync(join(packageDirectory, 'README.md'), 'utf8');
  const examples = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? '');
  if (examples.length === 0) throw new Error(`${packageDirectory}/README.md has no ts example`);
  const file = join(packageDirectory, `.readme-example-${process.pid}.ts`);
  writeFileSync(file, examples.join('\n'));
  try {
    return execFileSync(process.execPath, ['--no-warnings', '--conditions=@boxship/source', file], {
      encoding: 'utf8',
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? 60_000,
    });
  } finally {
    rmSync(file, { force: true });
  }
}
