/** Where the parts of one engine live: everything persistent below the data root, everything volatile below the exec root. */
import { existsSync, mkdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BoxshipError } from '@boxship/base';

export interface EnginePaths {
  readonly containerdRoot: string;
  readonly containerdState: string;
  readonly containerdSocket: string;
  readonly networkRoot: string;
  readonly networkExecRoot: string;
  readonly networkSocket: string;
  /** The same services over the wire of the daemon. */
  readonly networkTtrpcSocket: string;
  /** One JSON file per running part. */
  readonly partsDirectory: string;
  /** Held by the supervisor while it lives. */
  readonly lockFile: string;
  readonly logDirectory: string;
  readonly loggerProgram: string;
}

export function enginePaths(dataRoot: string, execRoot: string): EnginePaths {
  return {
    containerdRoot: join(dataRoot, 'containerd'),
    containerdState: join(execRoot, 'containerd'),
    containerdSocket: join(execRoot, 'containerd', 'containerd.sock'),
    networkRoot: join(dataRoot, 'network'),
    networkExecRoot: join(execRoot, 'network'),
    networkSocket: join(execRoot, 'network', 'networkd.sock'),
    networkTtrpcSocket: join(execRoot, 'network', 'networkd.sock.ttrpc'),
    partsDirectory: join(execRoot, 'parts'),
    lockFile: join(execRoot, 'engine.lock'),
    logDirectory: join(dataRoot, 'log'),
    loggerProgram: join(execRoot, 'bin', 'boxship-logger'),
  };
}

export function makeDirectories(paths: EnginePaths): void {
  for (const directory of [
    paths.partsDirectory,
    paths.logDirectory,
    paths.containerdRoot,
    paths.containerdState,
    paths.networkExecRoot,
  ])
    mkdirSync(directory, { recursive: true, mode: 0o711 });
}

export const defaultHost = 'unix:///run/boxship/boxship.sock';

/** Name of a program → package and file of its bundle. */
const programs = {
  boxship: ['cli', 'boxship.cjs'],
  boxshipd: ['daemon', 'boxshipd.cjs'],
  'boxship-containerd': ['containerd', 'containerd.cjs'],
  'boxship-networkd': ['network', 'networkd.cjs'],
  'boxship-cni': ['network', 'cni.cjs'],
  'boxship-logger': ['shim', 'logger.cjs'],
  'containerd-shim-boxship-v2': ['shim', 'shim.cjs'],
  'boxship-engine': ['engine', 'engine.cjs'],
  'boxship-janitor': ['engine', 'janitor.cjs'],
} as const;

export type ProgramName = keyof typeof programs;

/**
 * The file of a program: from the packages installed beside this one, or of this checkout. Always the real path, so that
 * its name and neighbours are those of the package.
 */
export function programPath(name: ProgramName): string {
  const [packageName, file] = programs[name];
  const here = dirname(fileURLToPath(import.meta.url));
  for (let directory = here; directory !== dirname(directory); directory = dirname(directory)) {
    for (const candidate of [
      join(directory, 'node_modules', '@boxship', packageName, 'dist', file),
      join(directory, packageName, 'dist', file),
    ])
      if (existsSync(candidate)) return realpathSync(candidate);
  }
  throw new BoxshipError(
    'notFound',
    `the program ${name} is not built: ${packageName}/dist/${file} is missing (pnpm build)`,
  );
}
