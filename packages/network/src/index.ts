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
export { createController, type ControllerOptions, type LocalController } from './create-controller.ts';
export type { DefaultAddressPool } from './ipam/pools.ts';
export type { DefaultBridgeOptions } from './networks/predefined.ts';
