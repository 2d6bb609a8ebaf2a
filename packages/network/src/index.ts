export type {
  AddressPool,
  Endpoint,
  EndpointSpec,
  InterfaceStatistics,
  Network,
  NetworkController,
  NetworkSpec,
  PortRequest,
  PublishedPort,
  Sandbox,
  SandboxSpec,
} from './controller.ts';
export { type ControllerOptions, createController, type LocalController } from './create-controller.ts';
export type { FirewallSettings } from './firewall/open.ts';
export { controllerOptions, type NetworkdFlags, parseFlags } from './flags.ts';
export type { DefaultAddressPool } from './ipam/pools.ts';
export type { DefaultBridgeOptions } from './networks/default-bridge.ts';
export { type ConnectOptions, connectController } from './wire/connect.ts';
export type { RemoteController } from './wire/remote-controller.ts';
export { type ServeOptions, serveController } from './wire/serve.ts';
export { ttrpcAddress } from './wire/ttrpc-address.ts';
