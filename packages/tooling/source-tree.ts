/** Reads the checkout as the architecture test sees it: packages, their manifests, their files and what these import. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

export interface SourceFile {
  /** Relative to its package: `src/x.ts`. */
  readonly path: string;
  readonly absolutePath: string;
  readonly text: string;
  /** Specifiers as written, types included. */
  readonly imports: readonly string[];
}

export interface SourcePackage {
  /** Without the scope: `engine-api`. */
  readonly name: string;
  readonly directory: string;
  readonly dependencies: readonly string[];
  readonly files: readonly SourceFile[];
}

// `from '…'` of imports and re-exports, bare `import '…'`, and `import('…')`; each at the start of a statement or in code
const specifiers = [
  /^\s*(?:import|export)\s[^'"`;]*?from\s+'([^']+)'/gm,
  /^\s*import\s+'([^']+)'/gm,
  /\bimport\(\s*'([^']+)'\s*\)/g,
];

export function importsOf(text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
  return specifiers.flatMap((pattern) => [...code.matchAll(pattern)].map((match) => match[1] ?? ''));
}

/** Packages below `packages/` of the checkout at `root`. Generated and built files are left out. */
export function readPackages(root: string): SourcePackage[] {
  const parent = join(root, 'packages');
  return readdirSync(parent)
    .toSorted()
    .flatMap((name) => {
      const directory = join(parent, name);
      let manifest: { dependencies?: Record<string, string> };
      try {
        manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as typeof manifest;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []; // a directory that another branch has left
        throw error;
      }
      const files = readdirSync(directory, { recursive: true, encoding: 'utf8' })
        .filter((path) => /\.ts$/.test(path) && !/(^|\/)(node_modules|dist|gen)\//.test(path) && !/(^|\/)\./.test(path))
        .toSorted()
        .map((path) => {
          const absolutePath = join(directory, path);
          const text = readFileSync(absolutePath, 'utf8');
          return { path, absolutePath, text, imports: importsOf(text) };
        });
      return [{ name, directory, dependencies: Object.keys(manifest.dependencies ?? {}), files }];
    });
}

export const isTest = (file: SourceFile): boolean => /\.test\.ts$/.test(file.path) || file.path.startsWith('test/');
export const isShipped = (file: SourceFile): boolean => file.path.startsWith('src/') && !isTest(file);

/** The file that a relative specifier of `file` names. */
export const targetOf = (file: SourceFile, specifier: string): string => resolve(dirname(file.absolutePath), specifier);

/** A cycle of relative imports among `files`, as paths; undefined when there is none. Types count: they order the reading. */
export function findCycle(files: readonly SourceFile[], directory: string): string[] | undefined {
  const byPath = new Map(files.map((file) => [file.absolutePath, file]));
  const finished = new Set<string>();
  const open: string[] = [];
  const visit = (path: string): string[] | undefined => {
    const at = open.indexOf(path);
    if (at >= 0) return [...open.slice(at), path].map((step) => relative(directory, step));
    const file = byPath.get(path);
    if (file === undefined || finished.has(path)) return undefined;
    open.push(path);
    for (const specifier of file.imports) {
      const cycle = specifier.startsWith('.') ? visit(targetOf(file, specifier)) : undefined;
      if (cycle !== undefined) return cycle;
    }
    open.pop();
    finished.add(path);
    return undefined;
  };
  for (const file of files) {
    const cycle = visit(file.absolutePath);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** Files under version control, relative to the checkout; undefined in a tree that is no checkout (an archive of one). */
export function trackedFiles(root: string): string[] | undefined {
  if (!existsSync(join(root, '.git'))) return undefined;
  // the checkout may belong to another user than the one who tests
  const args = ['-c', `safe.directory=${root}`, '-C', root, 'ls-files', '-z'];
  return execFileSync('git', args, { encoding: 'utf8' })
    .split('\0')
    .filter((path) => path !== '');
}
