/** What the documents say exists does: files named in them, links between them, flags. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { rows } from './layers.ts';

const root = join(import.meta.dirname, '../..');
const documents = ['README.md', 'docs/**/*.md', 'packages/*/README.md'].flatMap((pattern) =>
  globSync(pattern, { cwd: root }),
);

const withoutExamples = (text: string) => text.replace(/^```[\s\S]*?^```/gm, '');
/** A heading's anchor, as forges make it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, '')
    .replaceAll(' ', '-');

/** Paths in code quotes from the root, or `src/…` in a package's own README. */
export function missingFiles(text: string, directory: string): string[] {
  const named = [...withoutExamples(text).matchAll(/`((?:packages|proto|docs|src|test)\/[\w./@-]+)`/g)].map(
    (match) => match[1] ?? '',
  );
  return named.filter((path) => !existsSync(join(root, path)) && !existsSync(join(directory, path)));
}

export function deadLinks(text: string, directory: string): string[] {
  const links = [...withoutExamples(text).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? '');
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = join(directory, path);
    if (!existsSync(target)) return true;
    if (anchor === undefined) return false;
    const headings = [...readFileSync(target, 'utf8').matchAll(/^#+ (.*)$/gm)].map((match) => anchorOf(match[1] ?? ''));
    return !headings.includes(anchor);
  });
}

describe.each(documents)('%s', (document) => {
  const text = readFileSync(join(root, document), 'utf8');
  const directory = dirname(join(root, document));
  it('names files that exist', () => {
    expect(missingFiles(text, directory)).toEqual([]);
  });
  it('has no dead link', () => {
    expect(deadLinks(text, directory)).toEqual([]);
  });
});

it('the checks see what is missing', () => {
  expect(missingFiles('see `packages/base/src/errors.ts` and `packages/base/src/no.ts`', root)).toEqual([
    'packages/base/src/no.ts',
  ]);
  expect(deadLinks('[a](package.json) [b](nowhere.md) [c](docs/architecture.md#no-such-heading)', root)).toEqual([
    'nowhere.md',
    'docs/architecture.md#no-such-heading',
  ]);
});

it('every package has its line in the README', () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8');
  expect(Object.keys(rows).filter((name) => !text.includes(`(packages/${name})`))).toEqual([]);
});

it('the flags in operations.md are flags of boxshipd', () => {
  const table = /^## Flags$([\s\S]*?)^## /m.exec(readFileSync(join(root, 'docs/operations.md'), 'utf8'))?.[1] ?? '';
  const config = readFileSync(join(root, 'packages/daemon/src/flags.ts'), 'utf8');
  const flags = [...table.matchAll(/^\| (`-.*?) +\|/gm)].flatMap((match) => [
    ...(match[1] ?? '').matchAll(/--([\w-]+)/g),
  ]);
  const names = flags.map((match) => match[1] ?? '');
  expect(names.length).toBeGreaterThan(15);
  expect(names.filter((name) => !new RegExp(`^  '?${name}'?: \\{ type`, 'm').test(config))).toEqual([]);
});
