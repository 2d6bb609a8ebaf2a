/** Runs the ```ts examples of a package's README as a reader would: as a module, with the packages of this checkout. */
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface RunReadmeOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
  /** Words before the command: `['nsenter', '--net=…']`. */
  readonly within?: readonly string[];
  /** Directory from which the packages are looked for; default: that of the README. */
  readonly resolveFrom?: string;
}

/** The README's examples, one after the other as one module. @throws when there is none */
export function readmeExample(packageDirectory: string): string {
  const text = readFileSync(join(packageDirectory, 'README.md'), 'utf8');
  const examples = [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? '');
  if (examples.length === 0) throw new Error(`${packageDirectory}/README.md has no ts example`);
  return examples.join('\n');
}

/** The output of the README's examples. @throws when an example fails */
export function runReadme(packageDirectory: string, options: RunReadmeOptions = {}): string {
  // inside of the package, so that it finds the package by its own name
  const file = join(options.resolveFrom ?? packageDirectory, `.readme-example-${process.pid}.ts`);
  writeFileSync(file, readmeExample(packageDirectory));
  try {
    const [program = process.execPath, ...args] = [
      ...(options.within ?? []),
      process.execPath,
      '--no-warnings',
      '--conditions=@boxship/source',
      file,
    ];
    return execFileSync(program, args, {
      encoding: 'utf8',
      env: { ...process.env, ...options.env },
      timeout: options.timeoutMs ?? 60_000,
    });
  } finally {
    rmSync(file, { force: true });
  }
}
