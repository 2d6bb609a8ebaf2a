/** Holds the source tree to its rules, and the rules to their word: each is shown a tree that breaks it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import {
  closedPackages,
  declaredImports,
  documentedPackages,
  finishedFiles,
  importCycles,
  layering,
  plainIndexes,
  shortFiles,
  uncommittedOutput,
} from './architecture.ts';
import { rows, seams } from './layers.ts';
import { importsOf, readPackages, type SourcePackage, trackedFiles } from './source-tree.ts';

const root = resolve(import.meta.dirname, '../..');
const packages = readPackages(root);

describe('this checkout', () => {
  it('has every package in a row, and no row without a package', () => {
    expect(packages.map(({ name }) => name).filter((name) => name !== 'tooling')).toEqual(Object.keys(rows).toSorted());
    expect(Object.keys(seams).filter((name) => rows[name] === undefined)).toEqual([]);
  });
  it.each([
    ['depends on lower rows only, and never across a seam', layering],
    ['imports what package.json declares', declaredImports],
    ['has no relative import that leaves its package', closedPackages],
    ['has no import cycle', importCycles],
    ['has no file above 500 lines', shortFiles],
    ['has no mark of unfinished work and no test switched off', finishedFiles],
    ['has index.ts files that only re-export', plainIndexes],
    ['has a README per package, whose example is run', documentedPackages],
  ] as const)('%s', (_name, rule) => {
    expect(rule(packages)).toEqual([]);
  });
  const tracked = trackedFiles(root);
  it.skipIf(tracked === undefined)('has no built or generated file under version control', () => {
    expect(uncommittedOutput(tracked ?? [])).toEqual([]);
  });
});

describe('each rule', () => {
  const directories: string[] = [];
  afterAll(() => {
    for (const directory of directories) rmSync(directory, { recursive: true });
  });

  /** A checkout of one or more packages, read back. */
  function tree(files: Readonly<Record<string, string>>): SourcePackage[] {
    const directory = mkdtempSync('/tmp/boxship-architecture-');
    directories.push(directory);
    for (const [path, text] of Object.entries(files)) {
      const file = join(directory, 'packages', path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    return readPackages(directory);
  }
  const manifest = (...dependencies: string[]) =>
    JSON.stringify({ dependencies: Object.fromEntries(dependencies.map((name) => [name, '*'])) });
  const mark = ['TO', 'DO'].join('');

  it.each([
    [
      'an upward dependency',
      { 'oci/package.json': manifest('@boxship/archive') },
      'oci (row 1) depends on archive (row 2)',
    ],
    ['a sideways dependency', { 'linux/package.json': manifest('@boxship/oci') }, 'only lower rows'],
    ['a dependency across a seam', { 'daemon/package.json': manifest('@boxship/containerd') }, 'reaches by a wire'],
    ['an unknown package', { 'helpers/package.json': manifest() }, 'helpers has no row'],
  ])('layering sees %s', (_name, files, sentence) => {
    expect(layering(tree(files)).join()).toContain(sentence);
  });

  it.each([
    ['an undeclared package', "import { x } from 'left-pad';", 'left-pad'],
    ['an undeclared sub path', "export { x } from '@boxship/base/pino';", '@boxship/base/pino'],
    ['a dynamic import', "const load = () => import('left-pad');", 'left-pad'],
    ['an import over several lines', "import {\n  type a,\n  b,\n} from 'left-pad';", 'left-pad'],
  ])('declared imports sees %s', (_name, text, sentence) => {
    expect(declaredImports(tree({ 'oci/package.json': manifest(), 'oci/src/x.ts': text })).join()).toContain(sentence);
  });

  it('declared imports lets what is declared or built in pass', () => {
    const text =
      "import { join } from 'node:path';\nimport { BoxshipError } from '@boxship/base';\n// from 'left-pad'\n";
    expect(declaredImports(tree({ 'oci/package.json': manifest('@boxship/base'), 'oci/src/x.ts': text }))).toEqual([]);
  });

  it('closed packages sees a path into another package', () => {
    const files = { 'oci/package.json': manifest(), 'oci/src/x.ts': "import '../../base/src/index.ts';" };
    expect(closedPackages(tree(files))).toHaveLength(1);
    const tools = "import '../../tooling/readme.ts';\nimport '../../engine/test/harness/peers.ts';";
    const of = (path: string) => closedPackages(tree({ 'oci/package.json': manifest(), [path]: tools })).length;
    expect([of('oci/test/x.test.ts'), of('oci/src/x.ts')]).toEqual([0, 2]);
  });

  it('import cycles sees a cycle of three files', () => {
    const files = {
      'oci/package.json': manifest(),
      'oci/src/a.ts': "import { b } from './b.ts';",
      'oci/src/b.ts': "export { c } from './c.ts';",
      'oci/src/c.ts': "import type { a } from './a.ts';",
    };
    expect(importCycles(tree(files))).toEqual(['oci: src/a.ts → src/b.ts → src/c.ts → src/a.ts']);
  });

  it('short files sees line 501', () => {
    const of = (lines: number) =>
      shortFiles(tree({ 'oci/package.json': manifest(), 'oci/src/x.ts': '\n'.repeat(lines) }));
    expect([of(500).length, of(501).length]).toEqual([0, 1]);
  });

  it('finished files sees marks and switched-off tests', () => {
    const off = `it.${'skip'}('x', () => {});`;
    const files = { 'oci/package.json': manifest(), 'oci/src/x.ts': `// ${mark}: later\n`, 'oci/src/x.test.ts': off };
    expect(finishedFiles(tree(files))).toHaveLength(2);
  });

  it('plain indexes sees code', () => {
    const of = (text: string) => plainIndexes(tree({ 'oci/package.json': manifest(), 'oci/src/index.ts': text }));
    expect(of("/** x */\nexport { a, type B } from './a.ts';\nexport * as c from './c.ts';\n")).toEqual([]);
    expect(of("export { a } from './a.ts';\nexport const b = 1;\n")).toHaveLength(1);
  });

  it('uncommitted output sees generated and built files', () => {
    const paths = ['packages/api/src/gen/a.ts', 'packages/oci/dist/index.js', 'boxship-oci-0.1.0.tgz', 'docs/x.md'];
    expect(uncommittedOutput(paths)).toHaveLength(3);
  });

  it('documented packages sees a missing README and a missing test', () => {
    expect(documentedPackages(tree({ 'oci/package.json': manifest() }))).toEqual(['oci has no README.md']);
    const files = { 'oci/package.json': manifest(), 'oci/README.md': '# oci' };
    expect(documentedPackages(tree(files))).toEqual(["oci: no test runs the README's example"]);
  });
});

it('specifiers are found in every form, and not in comments', () => {
  const text = `/* from 'a' */ import b from 'b';\nimport 'c';\nexport * from 'd';\nexport type { E } from 'e';\nawait import('f');`;
  expect(importsOf(text).toSorted()).toEqual(['b', 'c', 'd', 'e', 'f']);
});
