export type { CallOptions, ContainerdServices, Duplex, ServiceClient } from '@boxship/api';
export { type ConnectOptions, type ContainerdClient, connect } from './connect.ts';
export { remoteContentStore } from './content.ts';
export { remoteSnapshotter } from './snapshots.ts';
export {
  type RemoteStores,
  remoteApplier,
  remoteComparer,
  remoteImages,
  remoteLeases,
  remoteStores,
} from './stores.ts';
export { type TransferPullOptions, transferPull } from './transfer.ts';
