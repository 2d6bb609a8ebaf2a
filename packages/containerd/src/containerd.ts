/**
 * A containerd in this process: stores, metadata, events, shims and the services over them. The gRPC server is one way to
 * reach the services, {@link Containerd.client} the other.
 *
 * @example
 * await using containerd = await Containerd.open({ root: '/tmp/c/root', state: '/tmp/c/state', address: '/tmp/c/c.sock', shim });
 * const client = containerd.client('default');
 * await client.images.list();
 */
import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ContainerdHandlers,
  type ContainerdServices,
  containerdClients,
  eventTypes,
  images,
  leases,
  Sandbox,
} from '@boxship/api';
import { type Logger, silentLogger, writeFileAtomicSync } from '@boxship/base';
import { configureHosts, type HostOptions, LocalApplier, LocalComparer } from '@boxship/image-store';
import { EventExchange } from './events/exchange.ts';
import { serveShimEvents } from './events/shim-events.ts';
import { type StoreUsage, storeUsage } from './gc/budget.ts';
import { localClient } from './local-client.ts';
import { openStores } from './metadata/open-stores.ts';
import type { FoundBundle } from './metadata/rebuild.ts';
import { RecordTable } from './metadata/record-table.ts';
import { imageStoreOver, leasesOver } from './metadata/stores.ts';
import { type BundleRoots, readBundleFile, scanBundles } from './runtime/bundle.ts';
import { recoverTasks } from './runtime/recovery.ts';
import { runtimeInfoOf } from './runtime/runtime-info.ts';
import { SandboxManager } from './runtime/sandbox-manager.ts';
import { ShimManager } from './runtime/shim-manager.ts';
import { TaskManager } from './runtime/task-manager.ts';
import { healthService, introspectionService, versionService } from './services/about.ts';
import { containersService } from './services/containers.ts';
import { contentService } from './services/content.ts';
import { diffService } from './services/diff.ts';
import { eventsService } from './services/events.ts';
import { emitImageDelete, imagesService } from './services/images.ts';
import { leasesService } from './services/leases.ts';
import { namespacesService } from './services/namespaces.ts';
import { sandboxControllerService } from './services/sandbox-controller.ts';
import { sandboxesService } from './services/sandboxes.ts';
import { snapshotsService, snapshotterOf } from './services/snapshots.ts';
import { StreamRegistry } from './services/streaming.ts';
import { tasksService } from './services/tasks.ts';
import { transferService } from './services/transfer.ts';
import { containerdVersion } from './version.ts';

export interface ContainerdOptions {
  /** Persistent data. */
  readonly root: string;
  /** Volatile state. */
  readonly state: string;
  /** Where shims find us: the gRPC socket, with the ttrpc socket for events beside it. */
  readonly address: string;
  /** The program for `io.containerd.runc.v2`, serving many containers per process. */
  readonly shim: string;
  /** Namespaces whose shim is started at once. */
  readonly warmNamespaces?: readonly string[];
  readonly isDebug?: boolean;
  /** Thin pool of the snapshotter devmapper; without it that one is refused. */
  readonly devmapperPool?: string | undefined;
  /** What blobs and layers may take before everything unused is collected at once; default: without limit. */
  readonly budgetBytes?: number;
  /** Which servers stand for a registry. */
  readonly registries?: HostOptions;
  readonly log?: Logger;
}

export class Containerd implements AsyncDisposable {
  readonly events: EventExchange;
  readonly handlers: ContainerdHandlers;
  /** What blobs and layers take on the disk. */
  readonly usage: () => Promise<StoreUsage>;
  readonly #resources: AsyncDisposableStack;

  private constructor(
    exchange: EventExchange,
    handlers: ContainerdHandlers,
    usage: () => Promise<StoreUsage>,
    resources: AsyncDisposableStack,
  ) {
    this.events = exchange;
    this.handlers = handlers;
    this.usage = usage;
    this.#resources = resources;
  }

  /** Opens the stores and brings back the tasks of an earlier process: start is recovery. */
  static async open(options: ContainerdOptions): Promise<Containerd> {
    const log = options.log ?? silentLogger;
    await using resources = new AsyncDisposableStack();
    mkdirSync(options.root, { recursive: true, mode: 0o711 });
    mkdirSync(options.state, { recursive: true, mode: 0o711 });
    const exchange = new EventExchange();
    // before anything else: the shims of an earlier process have exits to deliver
    resources.use(await serveShimEvents(exchange, options.address));
    const parts = await openParts(options, exchange, log, resources);
    const handlers = makeHandlers(parts, exchange, options, uuidOf(options.root));
    const { shims, sandboxes, manager: tasks } = parts;
    await recoverTasks({ roots: options, shims, sandboxes, tasks, defaultShim: options.shim, log });
    for (const namespace of options.warmNamespaces ?? [])
      shims
        .group(options.shim, namespace, 'default')
        .ready()
        .catch((error: unknown) => {
          log.error('the shim could not be started ahead of need', { namespace, error });
        });
    await parts.scheduler.deleted(false); // what a crash has left is collected soon after the start
    return new Containerd(exchange, handlers, () => storeUsage(parts), resources.move());
  }

  /** The services for a caller in this process, acting in `namespace`. */
  client(namespace: string): LocalContainerd {
    return {
      namespace,
      ...containerdClients((service, name) => localClient(service, this.handlers[name], namespace)),
    };
  }

  /** Ends the connections to shims and closes the stores. Containers go on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

export interface LocalContainerd extends ContainerdServices {
  readonly namespace: string;
}

type Parts = Awaited<ReturnType<typeof openParts>>;

async function openParts(
  options: ContainerdOptions,
  exchange: EventExchange,
  log: Logger,
  resources: AsyncDisposableStack,
) {
  const stores = await openStores(
    {
      root: options.root,
      log,
      devmapperPool: options.devmapperPool,
      bundles: () => foundBundles(options),
      onImageExpired: (namespace, name) => emitImageDelete(exchange, namespace, name),
      ...(options.budgetBytes === undefined ? {} : { budgetBytes: options.budgetBytes }),
    },
    resources,
  );
  const shims: ShimManager = resources.use(
    new ShimManager({
      roots: options,
      address: options.address,
      runtimes: new Map([
        ['io.containerd.runc.v2', options.shim],
        ['io.containerd.runc.v1', options.shim],
        ['io.containerd.boxship.v2', options.shim],
      ]),
      groupingShims: new Set([options.shim]),
      isDebug: options.isDebug ?? false,
      log,
      prepareSuccession: (shim) => {
        for (const task of manager.ofShim(shim)) task.holder.prepareSuccession();
      },
      onSucceeded: async (shim) => {
        for (const task of manager.ofShim(shim)) await manager.succeeded(task);
      },
      isIdle: (shim) => manager.ofShim(shim).length === 0 && !sandboxes.isSandbox(shim),
    }),
  );
  const sandboxes: SandboxManager = new SandboxManager({ roots: options, shims, events: exchange, log });
  const manager: TaskManager = new TaskManager({ roots: options, shims, sandboxes, events: exchange, log });
  return { ...stores, shims, sandboxes, manager };
}

function makeHandlers(parts: Parts, exchange: EventExchange, options: ContainerdOptions, uuid: string) {
  const log = options.log ?? silentLogger;
  const { database, scheduler } = parts;
  const streams = new StreamRegistry();
  const sandboxTable = new RecordTable(database, 'sandbox', Sandbox);
  const onDelete = (sync: boolean) => scheduler.deleted(sync);
  const imageHandlers = imagesService({ database, table: parts.images, events: exchange, onDelete });
  const leaseHandlers = leasesService({ table: parts.leases, onDelete });
  return {
    containers: containersService({
      database,
      table: parts.containers,
      events: exchange,
      onDelete: () => void onDelete(false),
    }),
    content: contentService({
      table: parts.content,
      onDelete: (namespace, digest) =>
        exchange.emit(namespace, '/content/delete', 'containerd.events.ContentDelete', eventTypes.ContentDelete, {
          digest,
        }),
    }),
    diff: diffService({
      applier: (namespace) => new LocalApplier(parts.content.in(namespace)),
      comparer: (namespace) => new LocalComparer(parts.content.in(namespace)),
    }),
    events: eventsService(exchange),
    health: healthService(),
    images: imageHandlers,
    introspection: introspectionService({
      uuid,
      describeRuntime: ({ runtimePath, options: runtimeOptions }) =>
        runtimeInfoOf(parts.shims.resolve(runtimePath), runtimeOptions),
      platform: {
        os: 'linux',
        architecture: process.arch === 'x64' ? 'amd64' : process.arch,
        variant: '',
        osVersion: '',
        osFeatures: [],
      },
      plugins: [
        { type: 'io.containerd.content.v1', id: 'content' },
        ...[...parts.snapshots.keys()].map((id) => ({
          type: 'io.containerd.snapshotter.v1',
          id,
          exports: { root: join(options.root, `io.containerd.snapshotter.v1.${id}`) },
        })),
        ...[...parts.refusedSnapshotters].map(([id, reason]) => ({
          type: 'io.containerd.snapshotter.v1',
          id,
          failure: `${reason}: skip plugin`,
        })),
        { type: 'io.containerd.metadata.v1', id: 'bolt', exports: { driver: 'sqlite' } },
        { type: 'io.containerd.differ.v1', id: 'walking' },
        { type: 'io.containerd.gc.v1', id: 'scheduler' },
        { type: 'io.containerd.runtime.v2', id: 'task', capabilities: ['group'] },
        { type: 'io.containerd.sandbox.store.v1', id: 'local' },
        { type: 'io.containerd.sandbox.controller.v1', id: 'shim' },
        ...[
          'containers',
          'content',
          'diff',
          'events',
          'images',
          'introspection',
          'leases',
          'namespaces',
          'sandbox-controllers',
          'sandboxes',
          'snapshots',
          'streaming',
          'tasks',
          'transfer',
          'version',
        ].map((id) => ({ type: 'io.containerd.grpc.v1', id })),
      ],
    }),
    leases: leaseHandlers,
    namespaces: namespacesService({ table: parts.namespaces, events: exchange }),
    sandboxController: sandboxControllerService({
      manager: parts.sandboxes,
      table: sandboxTable,
      events: exchange,
    }),
    sandboxes: sandboxesService({ database, table: sandboxTable }),
    snapshots: snapshotsService({ tables: parts, events: exchange }),
    streaming: streams.service(),
    tasks: tasksService({
      manager: parts.manager,
      containers: parts.containers,
      content: (namespace) => parts.content.in(namespace),
      log,
    }),
    transfer: transferService({
      streams,
      hosts: configureHosts(options.registries),
      defaultSnapshotter: 'overlayfs',
      log,
      stores: (namespace) => ({
        content: parts.content.in(namespace),
        images: imageStoreOver(localClient(images.ImagesService, imageHandlers, namespace)),
        leases: leasesOver(localClient(leases.LeasesService, leaseHandlers, namespace)),
        applier: new LocalApplier(parts.content.in(namespace)),
        snapshotter: (name) => snapshotterOf(parts, name, namespace),
      }),
    }),
    version: versionService({ version: containerdVersion, revision: '' }),
  };
}

function foundBundles(roots: BundleRoots): FoundBundle[] {
  return scanBundles(roots).flatMap(({ namespace, id, path }) => {
    const spec = readBundleFile(path, 'config.json');
    return spec === undefined ? [] : [{ namespace, id, spec: Buffer.from(spec) }];
  });
}

function uuidOf(root: string): string {
  const path = join(root, 'uuid');
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const uuid = randomUUID();
    writeFileAtomicSync(path, uuid);
    return uuid;
  }
}
