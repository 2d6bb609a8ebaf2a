/**
 * Generated messages, service definitions and clients, one name space per proto file, and the registry of `Any` payloads.
 * `tasks.TasksClient`, `tasks.TasksService`, `tasks.CreateTaskRequest` …
 */

export {
  type ContainerdHandlers,
  type ContainerdServices,
  containerdClients,
  serveEach,
} from './containerd-services.ts';
export * as network from './gen/boxship/network/v1/network.ts';
export * as eventTypes from './gen/containerd/events/events.ts';
export * as runcOptions from './gen/containerd/runc/v1/options.ts';
export * as bootstrap from './gen/containerd/runtime/bootstrap/v1/bootstrap.ts';
export * as shimSandbox from './gen/containerd/runtime/sandbox/v1/sandbox.ts';
export * as containers from './gen/containerd/services/containers/v1/containers.ts';
export * as content from './gen/containerd/services/content/v1/content.ts';
export * as diff from './gen/containerd/services/diff/v1/diff.ts';
export * as eventsTtrpc from './gen/containerd/services/events/ttrpc/v1/events.ts';
export * as events from './gen/containerd/services/events/v1/events.ts';
export * as images from './gen/containerd/services/images/v1/images.ts';
export * as introspection from './gen/containerd/services/introspection/v1/introspection.ts';
export * as leases from './gen/containerd/services/leases/v1/leases.ts';
export * as namespaces from './gen/containerd/services/namespaces/v1/namespaces.ts';
export * as sandbox from './gen/containerd/services/sandbox/v1/sandbox.ts';
export * as snapshots from './gen/containerd/services/snapshots/v1/snapshots.ts';
export * as streaming from './gen/containerd/services/streaming/v1/streaming.ts';
export * as tasks from './gen/containerd/services/tasks/v1/tasks.ts';
export * as transfer from './gen/containerd/services/transfer/v1/transfer.ts';
export * as version from './gen/containerd/services/version/v1/version.ts';
export * as shimTask from './gen/containerd/task/v2/task.ts';
export { Descriptor } from './gen/containerd/types/descriptor.ts';
export { Envelope } from './gen/containerd/types/event.ts';
export { Metric } from './gen/containerd/types/metrics.ts';
export { Mount } from './gen/containerd/types/mount.ts';
export { Platform } from './gen/containerd/types/platform.ts';
export * as runtimeInfo from './gen/containerd/types/runtime_info.ts';
export { Sandbox } from './gen/containerd/types/sandbox.ts';
export * as transferTypes from './gen/containerd/types/transfer/transfer.ts';
export * as taskTypes from './gen/containerd/v1/types/task.ts';
export * as etcd from './gen/etcdserverpb/rpc.ts';
export { Any } from './gen/google/protobuf/any.ts';
export { Empty } from './gen/google/protobuf/empty.ts';
export { Timestamp } from './gen/google/protobuf/timestamp.ts';
export { Status } from './gen/google/rpc/status.ts';
export * as health from './gen/grpc/health/v1/health.ts';
export * as cgroups1 from './gen/io/containerd/cgroups/v1/metrics.ts';
export * as cgroups2 from './gen/io/containerd/cgroups/v2/metrics.ts';
export * as ttrpcWire from './gen/ttrpc/ttrpc.ts';
export { leaseHeader, namespaceHeader, traceHeader, ttrpcNamespaceKey } from './headers.ts';
export type {
  CallContext,
  CallOptions,
  Duplex,
  MethodDefinition,
  ServiceClient,
  ServiceHandlers,
} from './service.ts';
export { fromTimestamp, goZeroTime, isZeroTime, nowTimestamp, toRfc3339, toTimestamp } from './timestamp.ts';
export { type Decoded, decodeAny, encodeAny, encodeJsonAny, typeNameOf, typeUrls } from './typeurl.ts';
