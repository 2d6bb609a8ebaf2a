/**
 * A typed client of any daemon that speaks the Docker Engine API.
 *
 * @example
 * await using engine = createEngineClient({ host: 'unix:///var/run/docker.sock' });
 * const { Id } = await engine.containers.create({ Image: 'busybox', Cmd: ['echo', 'hello'] });
 * await engine.containers.start(Id);
 * const { result } = await engine.containers.wait(Id);
 * console.log((await result).StatusCode);
 */
import { type ContainersClient, containersClient } from './containers.ts';
import { type ExecClient, execClient } from './exec.ts';
import { type ImagesClient, imagesClient } from './images.ts';
import { type NetworksClient, networksClient } from './networks.ts';
import { type SystemClient, systemClient } from './system.ts';
import { createTransport, type Transport, type TransportOptions } from './transport.ts';
import { type VolumesClient, volumesClient } from './volumes.ts';

export interface EngineClient extends AsyncDisposable {
  /** For requests that have no method here. */
  readonly transport: Transport;
  readonly containers: ContainersClient;
  readonly exec: ExecClient;
  readonly images: ImagesClient;
  readonly networks: NetworksClient;
  readonly volumes: VolumesClient;
  readonly system: SystemClient;
}

/** Opens a client; nothing is sent before the first call. */
export function createEngineClient(options: TransportOptions): EngineClient {
  const transport = createTransport(options);
  return {
    transport,
    containers: containersClient(transport),
    exec: execClient(transport),
    images: imagesClient(transport),
    networks: networksClient(transport),
    volumes: volumesClient(transport),
    system: systemClient(transport),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}
