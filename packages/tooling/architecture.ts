/** The rules of the source tree. Each gives its violations as sentences; none means that the rule holds. */
import { existsSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join } from 'node:path';
import { rows, seams, testTools, workshop } from './layers.ts';
import { findCycle, isShipped, isTest, type SourceFile, type SourcePackage, targetOf } from './source-tree.ts';

const scope = '@boxship/';
const longestFile = 500;

const ownNames = (names: readonly string[]): string[] =>
  names.filter((name) => name.startsWith(scope)).map((name) => name.slice(scope.length));

/** `@scope/name/sub` → `@scope/name`, `name/sub` → `name`. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

export function layering(packages: readonly SourcePackage[]): string[] {
  return packages
    .filter(({ name }) => name !== workshop)
    .flatMap(({ name, dependencies }) => {
      const row = rows[name];
      if (row === undefined) return [`${name} has no row in layers.ts`];
      return ownNames(dependencies).flatMap((other) => {
        const below = rows[other];
        if (below === undefined) return [`${name} depends on ${other}, which has no row`];
        if (below >= row)
          return [`${name} (row ${row}) depends on ${other} (row ${below}): only lower rows may be used`];
        if (seams[name]?.includes(other)) return [`${name} depends on ${other}, which it reaches by a wire`];
        return [];
      });
    });
}

export function declaredImports(packages: readonly SourcePackage[]): string[] {
  return packages.flatMap(({ name, dependencies, files }) =>
    files.filter(isShipped).flatMap((file) =>
      file.imports
        .filter((specifier) => !specifier.startsWith('.') && !isBuiltin(specifier))
        // shared suites are run by the reader's own vitest
        .filter((specifier) => !(specifier === 'vitest' && file.path.startsWith('src/testsuite/')))
        .filter((specifier) => !dependencies.includes(packageOf(specifier)))
        .map((specifier) => `${name}/${file.path} imports ${specifier}, which package.json does not declare`),
    ),
  );
}

// benchmarks and configuration are workshop code as tests are
const mayUseTestTools = (file: SourceFile): boolean => !file.path.startsWith('src/') || isTest(file);

export function closedPackages(packages: readonly SourcePackage[]): string[] {
  return packages.flatMap(({ name, directory, files }) =>
    files.flatMap((file) =>
      file.imports
        .filter((specifier) => specifier.startsWith('.'))
        .map((specifier) => targetOf(file, specifier))
        .filter((target) => !target.startsWith(`${directory}/`))
        .filter((target) => !(mayUseTestTools(file) && testTools.some((path) => target.includes(path))))
        .map((target) => `${name}/${file.path} imports ${target}: use the package by its name`),
    ),
  );
}

export function importCycles(packages: readonly SourcePackage[]): string[] {
  return packages.flatMap(({ name, directory, files }) => {
    const cycle = findCycle(files, directory);
    return cycle === undefined ? [] : [`${name}: ${cycle.join(' → ')}`];
  });
}

export function shortFiles(packages: readonly SourcePackage[]): string[] {
  return packages.flatMap(({ name, files }) =>
    files.flatMap(({ path, text }) => {
      const lines = text.split('\n').length - 1;
      return lines > longestFile ? [`${name}/${path} has ${lines} lines: ${longestFile} are the limit`] : [];
    }),
  );
}

const marks = new RegExp(`\\b(${['TO', 'FIX'].map((start, at) => `${start}${['DO', 'ME'][at]}`).join('|')})\\b`);
const switchedOff = new RegExp(`\\b(?:it|test|describe)\\.(?:${['skip', 'only', 'todo'].join('|')})\\(`);

export function finishedFiles(packages: readonly SourcePackage[]): string[] {
  return packages.flatMap(({ name, files }) =>
    files.flatMap(({ path, text }) =>
      text.split('\n').flatMap((line, at) => {
        if (marks.test(line)) return [`${name}/${path}:${at + 1} carries a mark of unfinished work`];
        if (switchedOff.test(line)) return [`${name}/${path}:${at + 1} switches a test off or others out`];
        return [];
      }),
    ),
  );
}

export function plainIndexes(packages: readonly SourcePackage[]): string[] {
  return packages.flatMap(({ name, files }) =>
    files
      .filter(({ path }) => path === 'src/index.ts')
      .flatMap(({ text }) => {
        const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
        const rest = code.replace(/export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s+from\s+'[^']+';/g, '');
        return rest.trim() === '' ? [] : [`${name}/src/index.ts does more than re-export: ${rest.trim().slice(0, 80)}`];
      }),
  );
}

export function uncommittedOutput(tracked: readonly string[]): string[] {
  return tracked
    .filter((path) => /(^|\/)(dist|gen|node_modules)\//.test(path) || /\.(tgz|tsbuildinfo)$/.test(path))
    .map((path) => `${path} is made by the build and must not be committed`);
}

/** What a package shows to its readers: a README with an example, and a test that runs it. */
export function documentedPackages(packages: readonly SourcePackage[]): string[] {
  return packages
    .filter(({ name }) => name !== workshop)
    .flatMap(({ name, directory, files }) => {
      if (!existsSync(join(directory, 'README.md'))) return [`${name} has no README.md`];
      return files.some(({ path }) => path === 'test/readme.test.ts')
        ? []
        : [`${name}: no test runs the README's example`];
    });
}
