/**
 * The composition of a whole engine from its parts: containerd, network and daemon as processes of their own, watched.
 *
 * @example
 * const engine = await startEngine({ args: ['--data-root', '/tmp/e/data', '--exec-root', '/tmp/e/run', '-H', 'unix:///tmp/e/e.sock'] });
 * // any Docker client works on engine.hosts[0] from here on
 * await engine.stop();
 */

import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { BoxshipError, type Logger, silentLogger, writeFileAtomicSync } from '@boxship/base';
import { type DaemonConfig, parseDaemonConfig } from '@boxship/daemon';
import { tryLockFile } from '@boxship/linux';
import { ensureHelloImage, helloImage } from './hello-image.ts';
import { defaultHost, enginePaths, programPath } from './paths.ts';
import type { Part } from './supervisor/part.ts';
import { WatchedPart } from './supervisor/watched-part.ts';

export interface EngineOptions {
  /** Flags of boxshipd; `--containerd` names a containerd to use instead of ours. */
  readonly args: readonly string[];
  readonly log?: Logger;
}

export interface Engine {
  /** Where the Engine API is served. */
  readonly hosts: readonly string[];
  readonly containerdAddress: string;
  /** Ends the parts in order: daemon, network, containerd. */
  stop(): Promise<void>;
}

/** Starts an engine, or takes over its running parts. @throws conflict when another supervisor has it */
export async function startEngine(options: EngineOptions): Promise<Engine> {
  const log = options.log ?? silentLogger;
  const config = parseDaemonConfig(options.args, { loggerPath: '' });
  const hosts = config.given.has('host') ? config.hosts : [defaultHost];
  const paths = enginePaths(config.dataRoot, config.execRoot);
  for (const directory of [paths.partsDirectory, paths.logDirectory, paths.containerdState, paths.networkExecRoot])
    mkdirSync(directory, { recursive: true, mode: 0o711 });
  const lock = tryLockFile(paths.lockFile);
  if (lock === undefined)
    throw new BoxshipError(
      'conflict',
      `another boxship-engine runs with exec root ${config.execRoot}: stop it, or use another --exec-root and --data-root`,
    );
  writeLoggerProgram(paths.loggerProgram);
  const parts = engineParts(options.args, config, hosts).map((part) => new WatchedPart(part, { ...paths, log }));
  try {
    const [daemon, ...lower] = parts.toReversed();
    await Promise.all(lower.map((part) => part.start()));
    await daemon?.start();
    await ensureHelloImage(hosts, log).catch((error: unknown) => {
      // a convenience for newcomers: no reason not to serve
      log.error(`the image ${helloImage} could not be made`, { error });
    });
  } catch (error) {
    for (const part of parts.toReversed()) await part.stop();
    lock[Symbol.dispose]();
    throw error;
  }
  return {
    hosts,
    containerdAddress: config.given.has('containerd') ? config.containerdAddress : paths.containerdSocket,
    async stop() {
      for (const part of parts.toReversed()) await part.stop();
      lock[Symbol.dispose]();
    },
  };
}

function engineParts(args: readonly string[], config: DaemonConfig, hosts: readonly string[]): Part[] {
  const paths = enginePaths(config.dataRoot, config.execRoot);
  const parts: Part[] = [];
  const containerdAddress = config.given.has('containerd') ? config.containerdAddress : paths.containerdSocket;
  if (!config.given.has('containerd')) {
    parts.push({
      name: 'containerd',
      program: programPath('boxship-containerd'),
      args: [
        ...['--root', paths.containerdRoot, '--state', paths.containerdState, '--address', paths.containerdSocket],
        ...['--log-level', config.logLevel, '--shim', programPath('containerd-shim-boxship-v2')],
        ...['--warm-namespace', config.containerdNamespace],
        ...config.insecureRegistries.flatMap((name) => ['--insecure-registry', name]),
        ...config.registryMirrors.flatMap((url) => ['--registry-mirror', url]),
      ],
      readySocket: paths.containerdSocket,
      stopSeconds: 10,
    });
  }
  parts.push({
    name: 'network',
    program: programPath('boxship-networkd'),
    args: [
      ...['--address', paths.networkSocket, '--root', paths.networkRoot, '--exec-root', paths.networkExecRoot],
      ...['--log-level', config.logLevel, '--instance', instanceOf(config.dataRoot)],
      ...flagOf('bip', config.bip),
      ...flagOf('mtu', config.mtu),
      ...flagOf('bridge', config.bridge),
      ...config.defaultAddressPools.flatMap((value) => ['--default-address-pool', value]),
    ],
    readySocket: paths.networkSocket,
    stopSeconds: 10,
  });
  // what the user has set, as a flag or in the file, stays his: saying it twice is an error with dockerd too
  const own = [
    ...(config.given.has('host') ? [] : hosts.flatMap((host) => ['--host', host])),
    ...(config.given.has('containerd') ? [] : ['--containerd', containerdAddress]),
    ...['--network-address', paths.networkSocket, '--logger', paths.loggerProgram],
  ];
  const socket = hosts.find((host) => host.startsWith('unix://'))?.slice('unix://'.length);
  if (socket === undefined)
    throw new BoxshipError('invalidArgument', 'the engine needs one -H unix://… to watch its daemon');
  parts.push({
    name: 'daemon',
    program: programPath('boxshipd'),
    args: [...args, ...own],
    readySocket: socket,
    stopSeconds: config.shutdownTimeoutSeconds + 15,
  });
  return parts;
}

/**
 * The logger under its own name: our shim knows the name and does the work itself; a foreign shim runs the file, with the
 * Node that runs this engine, whatever is in its search path.
 */
function writeLoggerProgram(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  writeFileAtomicSync(
    path,
    `#!/bin/sh\nexec '${process.execPath}' --no-warnings '${programPath('boxship-logger')}' "$@"\n`,
  );
  chmodSync(path, 0o755);
}

/** Names the engine in the kernel, so that two engines of one machine never touch each other's links and rules. */
const instanceOf = (dataRoot: string): string => createHash('sha256').update(dataRoot).digest('hex').slice(0, 8);

const flagOf = (name: string, value: string): string[] => (value === '' ? [] : [`--${name}`, value]);
