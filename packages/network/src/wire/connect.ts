/** A {@link NetworkController} that lives in `boxship-networkd`. */
import { GrpcTransport } from './grpc-transport.ts';
import { type RemoteController, remoteController } from './remote-controller.ts';
import { isTtrpcAddress } from './ttrpc-address.ts';
import { TtrpcTransport } from './ttrpc-transport.ts';

export interface ConnectOptions {
  /** Time a call may take, a restart of the server included (default 30 s). */
  readonly timeoutMs?: number;
}

/**
 * Connects lazily; calls made while the server is being started again wait for it.
 * @param address path of the unix socket; one that ends in `.ttrpc` is spoken to in ttrpc, any other in gRPC
 */
export function connectController(address: string, options: ConnectOptions = {}): RemoteController {
  const transport = isTtrpcAddress(address) ? new TtrpcTransport(address) : new GrpcTransport(address);
  return remoteController(transport, options.timeoutMs ?? 30_000);
}
