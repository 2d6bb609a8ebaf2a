/**
 * A daemon: its parts, put together and taken apart. Used by the program and by the in-process engine.
 *
 * @example
 * await using daemon = await startDaemon(config, { log, containerd, network });
 * // serves config.hosts until disposed of; containers keep running afterwards
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { KeyedMutex, type Logger, withDeadline } from '@boxship/base';
import type { NetworkController } from '@boxship/network';
import type { DaemonConfig } from './config.ts';
import { createExecStore } from './containers/exec-store.ts';
import { monitorTasks } from './containers/monitor.ts';
import { restoreContainers, startWithDaemon } from './containers/restore.ts';
import { createContainerStore } from './containers/store.ts';
import { openDatabase } from './database.ts';
import { createEventBus } from './events/bus.ts';
import { addRoutes } from './http/routes/all.ts';
import { createHttpServer } from './http/server.ts';
import { createImageIndex } from './images/image-index.ts';
import { listenAt } from './listen.ts';
import type { DaemonContainerd, Parts } from './parts.ts';
import { loadDefaultProfile } from './system/apparmor.ts';
import { readHostFacts } from './system/host-facts.ts';
import { createVolumeStore } from './volumes/store.ts';

/** A stop lets starts, ends and removals that are under way come to their end; what takes longer, the next start finishes. */
const lastTurnsMs = 5_000;

export interface DaemonSeams {
  readonly log: Logger;
  /** Remote or in this process; not disposed of by the daemon. */
  readonly containerd: DaemonContainerd;
  /** Undefined: containers can only use the networks `none` and `host`. */
  readonly network: NetworkController | undefined;
}

export interface Daemon extends AsyncDisposable {
  readonly config: DaemonConfig;
  /** A connection to the Engine API from inside this process. */
  dial(): Duplex;
}

/** Recovers, then serves. @throws when a socket cannot be opened or containerd does not answer */
export async function startDaemon(config: DaemonConfig, seams: DaemonSeams): Promise<Daemon> {
  const { log, containerd } = seams;
  await using stack = new AsyncDisposableStack();
  mkdirSync(config.dataRoot, { recursive: true, mode: 0o710 });
  mkdirSync(config.execRoot, { recursive: true, mode: 0o700 });
  const database = openDatabase(join(config.dataRoot, 'daemon.db'), log);
  stack.defer(() => database.close());
  const stopping = new AbortController();
  const host = readHostFacts();
  const parts: Parts = {
    config,
    log,
    containerd,
    network: seams.network,
    containers: createContainerStore(database),
    execs: createExecStore(),
    images: createImageIndex(containerd, log),
    volumes: createVolumeStore(database, config.dataRoot, log),
    events: createEventBus(),
    mutex: new KeyedMutex(),
    host: host.hasAppArmor ? { ...host, appArmorProfile: (await loadDefaultProfile(log)) ?? '' } : host,
    stopping: stopping.signal,
  };
  for (const warning of config.warnings) log.warn('configuration', { warning });
  await restoreContainers(parts);
  const monitoring = monitorTasks(parts);
  stack.defer(async () => {
    stopping.abort();
    await monitoring;
    await withDeadline({ component: 'daemon', operation: 'end of what is under way', timeoutMs: lastTurnsMs }, () =>
      parts.mutex.idle(),
    ).catch((error: unknown) => log.warn('left for the next start', { error }));
  });
  const http = await createHttpServer(log, (router) => addRoutes(router, parts));
  stack.use(http);
  for (const host of config.hosts) {
    const tls = host.startsWith('tcp://') ? config.tls : undefined;
    await listenAt(http.listener(tls), host, config, log);
  }
  startWithDaemon(parts).catch((error: unknown) => log.error('restart policies were not applied', { error }));
  log.info('daemon serves', { hosts: config.hosts, containers: parts.containers.list().length });
  const owned = stack.move();
  return { config, dial: () => http.dial(), [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
