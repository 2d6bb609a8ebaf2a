/**
 * What failed in a package, kept in a file of its own: the output of all packages runs to thousands of lines, and whoever reads
 * only its end is to see every failure there. Also what passed at the second try only.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

const defaultDirectory = resolve(import.meta.dirname, '../../node_modules/.cache/boxship-failures');
const linesPerFailure = 30;

/** Forgets earlier runs. */
export function clearFailures(directory = defaultDirectory): void {
  rmSync(directory, { recursive: true, force: true });
}

/** One text per package that has something to tell. */
export function readFailures(directory = defaultDirectory): string[] {
  try {
    return readdirSync(directory).map((name) => readFileSync(join(directory, name), 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

/** Writes the file at the end of a package's run. */
export class FailureFileReporter implements Reporter {
  readonly #directory: string;

  constructor(directory = defaultDirectory) {
    this.#directory = directory;
  }

  onTestRunEnd(modules: readonly TestModule[], errors: readonly { readonly message: string }[]): void {
    const texts = errors.map(({ message }) => `outside of any test: ${shortened(message)}`);
    for (const module of modules) {
      texts.push(...module.errors().map((error) => failure(module.relativeModuleId, error)));
      for (const suite of module.children.allSuites())
        texts.push(...suite.errors().map((error) => failure(`${module.relativeModuleId} > ${suite.fullName}`, error)));
      for (const test of module.children.allTests()) texts.push(...ofTest(module, test));
    }
    if (texts.length === 0) return;
    mkdirSync(this.#directory, { recursive: true });
    writeFileSync(join(this.#directory, `${basename(process.cwd())}.txt`), `${[...new Set(texts)].join('\n')}\n`);
  }
}

function ofTest(module: TestModule, test: TestCase): string[] {
  const name = `${basename(process.cwd())}/${module.relativeModuleId} > ${test.fullName}`;
  const { state, errors = [] } = test.result();
  if (state === 'failed') return errors.map((error) => failure(name, error));
  return test.diagnostic()?.flaky === true ? [`passed at the second try: ${name}`] : [];
}

const failure = (name: string, error: { readonly message: string; readonly diff?: string | undefined }): string =>
  `failed: ${name}\n${shortened([error.message, error.diff ?? ''].join('\n'))}`;

const shortened = (text: string): string =>
  stripVTControlCharacters(text)
    .split('\n')
    .filter((line) => line.trim() !== '')
    .slice(0, linesPerFailure)
    .map((line) => `  ${line.slice(0, 300)}`)
    .join('\n');
