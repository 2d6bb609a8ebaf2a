export { connect, type ConnectOptions, type ContainerdClient, type ContainerdServices } from './connect.ts';
export { type CallOptions, type Duplex, type ServiceClient } from './service-client.ts';
