/** The Docker Engine REST API: schemas, types, framing and a typed client. */

export { defaultEngineHost, type EngineAddress, parseEngineHost } from './client/address.ts';
export { createEngineClient, type EngineClient } from './client/client.ts';
export type {
  AttachOptions,
  ContainersClient,
  Filters,
  ListContainersOptions,
  LogsOptions,
  PathStat,
  StopOptions,
  WaitCondition,
} from './client/containers.ts';
export type { ExecClient } from './client/exec.ts';
export { authHeader, type ImagesClient, progressOf } from './client/images.ts';
export { jsonLines } from './client/json-lines.ts';
export type { NetworksClient } from './client/networks.ts';
export type { SystemClient } from './client/system.ts';
export {
  createTransport,
  type Dial,
  encodeQuery,
  type Hijacked,
  type Method,
  type PingResult,
  type Query,
  type RequestOptions,
  type Transport,
  type TransportOptions,
} from './client/transport.ts';
export type { VolumesClient } from './client/volumes.ts';
export { decodeBody } from './decode.ts';
export { type Route, routes } from './routes.ts';
export * from './schemas/container.ts';
export * from './schemas/event.ts';
export * from './schemas/exec.ts';
export * from './schemas/host-config.ts';
export * from './schemas/image.ts';
export * from './schemas/network.ts';
export * from './schemas/stats.ts';
export * from './schemas/system.ts';
export * from './schemas/volume.ts';
export {
  encodeFrame,
  type Frame,
  FrameDecoder,
  frameDecoderStream,
  frameHeaderBytes,
  type StreamType,
  streamTypes,
} from './stream-frame.ts';
export {
  apiAtLeast,
  compareApiVersions,
  isApiVersion,
  lowestAcceptedApiVersion,
  maxApiVersion,
  minApiVersion,
  negotiateApiVersion,
} from './versions.ts';
