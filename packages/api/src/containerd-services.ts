/** The services of a containerd, listed once: the client, the in-process client and the server are made from this table. */
import { ContainersService } from './gen/containerd/services/containers/v1/containers.ts';
import { ContentService } from './gen/containerd/services/content/v1/content.ts';
import { DiffService } from './gen/containerd/services/diff/v1/diff.ts';
import { EventsService } from './gen/containerd/services/events/v1/events.ts';
import { ImagesService } from './gen/containerd/services/images/v1/images.ts';
import { IntrospectionService } from './gen/containerd/services/introspection/v1/introspection.ts';
import { LeasesService } from './gen/containerd/services/leases/v1/leases.ts';
import { NamespacesService } from './gen/containerd/services/namespaces/v1/namespaces.ts';
import {
  ControllerService as SandboxControllerService,
  StoreService as SandboxStoreService,
} from './gen/containerd/services/sandbox/v1/sandbox.ts';
import { SnapshotsService } from './gen/containerd/services/snapshots/v1/snapshots.ts';
import { StreamingService } from './gen/containerd/services/streaming/v1/streaming.ts';
import { TasksService } from './gen/containerd/services/tasks/v1/tasks.ts';
import { TransferService } from './gen/containerd/services/transfer/v1/transfer.ts';
import { VersionService } from './gen/containerd/services/version/v1/version.ts';
import { HealthService } from './gen/grpc/health/v1/health.ts';
import type { ServiceClient, ServiceHandlers } from './service.ts';

const services = {
  containers: ContainersService,
  content: ContentService,
  diff: DiffService,
  events: EventsService,
  health: HealthService,
  images: ImagesService,
  introspection: IntrospectionService,
  leases: LeasesService,
  namespaces: NamespacesService,
  sandboxController: SandboxControllerService,
  sandboxes: SandboxStoreService,
  snapshots: SnapshotsService,
  streaming: StreamingService,
  tasks: TasksService,
  transfer: TransferService,
  version: VersionService,
} as const;

type Services = typeof services;
type Name = keyof Services;

/** The services of a containerd, each with promises; the same shape for a remote and an in-process server. */
export type ContainerdServices = { readonly [N in Name]: ServiceClient<Services[N]> };

/** What answers them. */
export type ContainerdHandlers = { readonly [N in Name]: ServiceHandlers<Services[N]> };

/** Makes a client of every service. */
export function containerdClients(
  make: <N extends Name>(service: Services[N], name: N) => ServiceClient<Services[N]>,
): ContainerdServices {
  const names = Object.keys(services) as Name[];
  return Object.fromEntries(names.map((name) => [name, make(services[name], name)])) as unknown as ContainerdServices;
}

/** Hands every service with its handlers to `serve`. */
export function serveEach(
  handlers: ContainerdHandlers,
  serve: <N extends Name>(service: Services[N], handlers: ContainerdHandlers[N]) => void,
): void {
  const one = <N extends Name>(name: N): void => serve(services[name], handlers[name]);
  for (const name of Object.keys(services) as Name[]) one(name);
}
