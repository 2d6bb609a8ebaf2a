/**
 * A whole engine inside of this process: daemon, containerd and network as objects, reached without any socket. The shim is a
 * process of its own, as always: containers do not depend on the health of their owner.
 *
 * Life cycle: created (start is recovery: what an earlier owner of the directory has kept is there again), used through
 * `client`, disposed of. What becomes of the containers then is the owner's choice, and holds when it is killed as well.
 *
 * @example
 * await using engine = await createEngine({ directory: '/tmp/my-tests' });
 * const { Id } = await engine.client.containers.create({ Image: 'boxship/hello' });
 * await engine.client.containers.start(Id);
 */
import { join } from 'node:path';
import { type Logger, silentLogger } from '@boxship/base';
import { Containerd, containerdOptions, parseConfig } from '@boxship/containerd';
import { type DaemonConfig, parseDaemonConfig, startDaemon } from '@boxship/daemon';
import { createEngineClient, type EngineClient } from '@boxship/engine-api';
import { controllerOptions, createController, type NetworkController, parseFlags } from '@boxship/network';
import { containerdArguments, networkArguments } from '../arguments.ts';
import { ensureHelloImage } from '../hello-image.ts';
import { writeLoggerProgram } from '../logger-program.ts';
import { type EnginePaths, enginePaths, makeDirectories, programPath } from '../paths.ts';
import { removeContainers } from './clearing.ts';
import { startJanitor } from './janitor.ts';
import { lockRoots } from './lock-roots.ts';

export interface InProcessEngineOptions {
  /** Everything of the engine lies below it: persistent in `data`, volatile in `run`. */
  readonly directory: string;
  /**
   * What becomes of containers and networks when the owner ends, by its own will or by `kill -9`: they are removed (the
   * default; images and named volumes stay in `directory`), or they go on, for the next engine with this directory.
   */
  readonly atEnd?: 'remove' | 'keep';
  /** Flags of boxshipd. With `-H` the Engine API is served on a socket, too; without, no socket is opened for it. */
  readonly args?: readonly string[];
  readonly log?: Logger;
}

export interface InProcessEngine extends AsyncDisposable {
  /** Speaks the Engine API to the daemon in this process. */
  readonly client: EngineClient;
  readonly containerd: Containerd;
  readonly network: NetworkController;
}

/** @throws conflict when another engine uses the directory, permissionDenied without root */
export async function createEngine(options: InProcessEngineOptions): Promise<InProcessEngine> {
  const log = options.log ?? silentLogger;
  const { config, paths } = settingsOf(options);
  const isRemoving = options.atEnd !== 'keep';
  await using stack = new AsyncDisposableStack();
  makeDirectories(paths);
  stack.use(await lockRoots(paths, config.dataRoot));
  if (isRemoving) stack.use(startJanitor(options, paths));
  writeLoggerProgram(paths.loggerProgram);

  const shim = programPath('containerd-shim-boxship-v2');
  const containerdConfig = parseConfig(containerdArguments(config, paths), { shim });
  const containerd = stack.use(await Containerd.open({ ...containerdOptions(containerdConfig), log }));
  const networkOptions = controllerOptions(parseFlags(networkArguments(config, paths)));
  const network = stack.use(await createController({ ...networkOptions, log }));
  const daemon = stack.use(
    await startDaemon(config, { log, containerd: containerd.client(config.containerdNamespace), network }),
  );
  const client = stack.use(createEngineClient({ host: () => daemon.dial() }));
  await ensureHelloImage(client, log);
  const owned = stack.move();
  return {
    client,
    containerd,
    network,
    async [Symbol.asyncDispose]() {
      try {
        if (isRemoving) {
          await removeContainers(client);
          await network.purge();
        }
      } finally {
        await owned.disposeAsync();
      }
    },
  };
}

function settingsOf({ directory, args = [] }: InProcessEngineOptions): { config: DaemonConfig; paths: EnginePaths } {
  const dataRoot = join(directory, 'data');
  const execRoot = join(directory, 'run');
  const paths = enginePaths(dataRoot, execRoot);
  // the configuration file of the host is for the host's engine
  const all = ['--config-file', '/dev/null', '--data-root', dataRoot, '--exec-root', execRoot, ...args];
  const config = parseDaemonConfig(all, { loggerPath: paths.loggerProgram });
  return { config: { ...config, hosts: config.given.has('host') ? config.hosts : [] }, paths };
}
