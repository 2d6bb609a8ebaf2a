/**
 * The composition of a whole engine from its parts: containerd, network and daemon as processes of their own, watched.
 *
 * @example
 * const engine = await startEngine({ args: ['--data-root', '/tmp/e/data', '--exec-root', '/tmp/e/run', '-H', 'unix:///tmp/e/e.sock'] });
 * // any Docker client works on engine.hosts[0] from here on
 * await engine.stop();
 */
import { BoxshipError, type Logger, silentLogger } from '@boxship/base';
import { type DaemonConfig, parseDaemonConfig } from '@boxship/daemon';
import { createEngineClient } from '@boxship/engine-api';
import { tryLockFile } from '@boxship/linux';
import { containerdArguments, daemonArguments, networkArguments } from './arguments.ts';
import { ensureHelloImage, helloImage } from './hello-image.ts';
import { writeLoggerProgram } from './logger-program.ts';
import { defaultHost, enginePaths, makeDirectories, programPath } from './paths.ts';
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
  makeDirectories(paths);
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
    await using client = createEngineClient({ host: hosts[0] ?? '' });
    await ensureHelloImage(client, log).catch((error: unknown) => {
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
  if (!config.given.has('containerd'))
    parts.push({
      name: 'containerd',
      program: programPath('boxship-containerd'),
      args: containerdArguments(config, paths),
      readySocket: paths.containerdSocket,
      stopSeconds: 10,
    });
  parts.push({
    name: 'network',
    program: programPath('boxship-networkd'),
    args: networkArguments(config, paths),
    readySocket: paths.networkSocket,
    stopSeconds: 10,
  });
  const socket = hosts.find((host) => host.startsWith('unix://'))?.slice('unix://'.length);
  if (socket === undefined)
    throw new BoxshipError('invalidArgument', 'the engine needs one -H unix://… to watch its daemon');
  parts.push({
    name: 'daemon',
    program: programPath('boxshipd'),
    args: [...args, ...daemonArguments(config, paths, hosts)],
    readySocket: socket,
    stopSeconds: config.shutdownTimeoutSeconds + 15,
  });
  return parts;
}
