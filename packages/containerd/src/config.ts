/**
 * Configuration: containerd's flags (`--root --state --address --log-level --config`) and, in TOML's simplest form, the same
 * keys in a file. Parsed once into a frozen object; nothing behind it reads flags or files.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BoxshipError, type LogLevel, parseSize } from '@boxship/base';
import type { ContainerdOptions } from './containerd.ts';

export interface ContainerdConfig {
  /** Persistent data. */
  readonly root: string;
  /** Volatile state: bundles. */
  readonly state: string;
  /** gRPC socket; the ttrpc socket for shims is `<address>.ttrpc`. */
  readonly address: string;
  readonly logLevel: LogLevel;
  /** The program for `io.containerd.runc.v2` and `io.containerd.boxship.v2`; it serves many containers per process. */
  readonly shim: string;
  /** Namespaces whose shim is started ahead of need. */
  readonly warmNamespaces: readonly string[];
  readonly snapshotter: string;
  /** Thin pool of the snapshotter devmapper. */
  readonly devmapperPool: string | undefined;
  /** Directory of per-registry configuration in containerd's `hosts.toml` layout. */
  readonly registryConfigDirectory: string | undefined;
  readonly insecureRegistries: readonly string[];
  readonly registryMirrors: readonly string[];
  /** Bytes; undefined: without limit. */
  readonly budgetBytes: number | undefined;
}

export const usage = `boxship-containerd: containerd's API over boxship's stores and shim

  --root DIR               persistent data (default /var/lib/boxship/containerd)
  --state DIR              volatile state (default /run/boxship/containerd)
  --address, -a SOCKET     gRPC socket (default <state>/containerd.sock)
  --config, -c FILE        file with the same keys, one \`key = "value"\` a line
  --log-level, -l LEVEL    debug, info, warn, error
  --shim FILE              the shim program for io.containerd.runc.v2
  --warm-namespace NAME    start the shim of this namespace at once (repeatable)
  --registry-config DIR    hosts.toml directory
  --insecure-registry NAME registry without verified TLS (repeatable)
  --registry-mirror URL    mirror of docker.io (repeatable)
  --devmapper-pool NAME    thin pool of the snapshotter devmapper, which has it for itself
  --store-budget SIZE      collect what is unused when blobs and layers take more: 20g
  --version, --help
`;

/** @throws invalidArgument naming the flag */
export function parseConfig(args: readonly string[], defaults: { shim: string }): ContainerdConfig {
  let values: Record<string, string | boolean | (string | boolean)[] | undefined>;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        root: { type: 'string' },
        state: { type: 'string' },
        address: { type: 'string', short: 'a' },
        config: { type: 'string', short: 'c' },
        'log-level': { type: 'string', short: 'l' },
        shim: { type: 'string' },
        snapshotter: { type: 'string' },
        'warm-namespace': { type: 'string', multiple: true },
        'registry-config': { type: 'string' },
        'insecure-registry': { type: 'string', multiple: true },
        'registry-mirror': { type: 'string', multiple: true },
        'devmapper-pool': { type: 'string' },
        'store-budget': { type: 'string' },
      },
    }));
  } catch (cause) {
    throw new BoxshipError('invalidArgument', `boxship-containerd: ${(cause as Error).message}`, { cause });
  }
  const file = typeof values['config'] === 'string' ? readConfigFile(values['config']) : {};
  const text = (name: string): string | undefined => {
    const value = values[name] ?? file[name.replaceAll('-', '_')];
    return typeof value === 'string' ? value : undefined;
  };
  const list = (name: string): string[] => ((values[name] as string[] | undefined) ?? []).slice();
  const state = text('state') ?? '/run/boxship/containerd';
  const logLevel = text('log-level') ?? 'info';
  if (!['debug', 'info', 'warn', 'error', 'fatal'].includes(logLevel))
    throw new BoxshipError(
      'invalidArgument',
      `boxship-containerd: --log-level ${logLevel}: use debug, info, warn or error`,
    );
  const budget = text('store-budget');
  return Object.freeze({
    root: text('root') ?? '/var/lib/boxship/containerd',
    state,
    address: text('address') ?? `${state}/containerd.sock`,
    logLevel: logLevel as LogLevel,
    shim: text('shim') ?? defaults.shim,
    warmNamespaces: list('warm-namespace'),
    snapshotter: text('snapshotter') ?? 'overlayfs',
    devmapperPool: text('devmapper-pool'),
    registryConfigDirectory: text('registry-config'),
    insecureRegistries: list('insecure-registry'),
    registryMirrors: list('registry-mirror'),
    budgetBytes: budget === undefined ? undefined : parseSize(budget),
  });
}

/** What the configuration says to a containerd, in whichever process it runs. */
export function containerdOptions(config: ContainerdConfig): ContainerdOptions {
  return {
    root: config.root,
    state: config.state,
    address: config.address,
    shim: config.shim,
    warmNamespaces: config.warmNamespaces,
    isDebug: config.logLevel === 'debug',
    devmapperPool: config.devmapperPool,
    ...(config.budgetBytes === undefined ? {} : { budgetBytes: config.budgetBytes }),
    registries: {
      insecureRegistries: config.insecureRegistries,
      mirrors: config.registryMirrors,
      ...(config.registryConfigDirectory === undefined ? {} : { certsDirectories: [config.registryConfigDirectory] }),
    },
  };
}

function readConfigFile(path: string): Record<string, string> {
  const values: Record<string, string> = {};
  let section = '';
  for (const [index, raw] of readFileSync(path, 'utf8').split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const header = /^\[(.+)\]$/.exec(line);
    if (header !== null) {
      section = header[1] ?? '';
      continue;
    }
    const match = /^([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|(\S+))/.exec(line);
    if (match === null) throw new BoxshipError('invalidArgument', `${path}:${index + 1}: expected key = "value"`);
    const key = match[1] ?? '';
    const value = match[2] ?? match[3] ?? match[4] ?? '';
    if (section === '' && ['root', 'state', 'shim', 'snapshotter'].includes(key)) values[key] = value;
    else if (section === 'grpc' && key === 'address') values['address'] = value;
    else if (section === 'debug' && key === 'level') values['log_level'] = value;
    // other keys of containerd's file steer parts that are built differently here
  }
  return values;
}
