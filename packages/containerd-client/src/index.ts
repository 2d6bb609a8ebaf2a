export { connect, type ConnectOptions, type ContainerdClient, type ContainerdServices } from './connect.ts';
export type { CallOptions, Duplex, ServiceClient } from '@boxship/api';
