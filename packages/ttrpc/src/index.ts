export { type ConnectOptions, TtrpcClient } from './client.ts';
export type { Metadata } from './envelope.ts';
export { encodeFrame, type Frame, FrameDecoder, frameTypes, HEADER_BYTES, MAX_BODY_BYTES } from './frame.ts';
export { TtrpcServer, type TtrpcServerOptions } from './server.ts';
export type {
  AnyMethod,
  CallContext,
  CallOptions,
  MethodDefinition,
  ServiceClient,
  ServiceDefinition,
  ServiceHandlers,
} from './service.ts';
export { splitPath } from './service.ts';
