/**
 * A connection to a containerd: ours, Debian's, or any other that speaks `containerd.services.*.v1`.
 *
 * @example
 * await using client = connect('/run/containerd/containerd.sock', { namespace: 'default' });
 * const { version } = await client.version.version();
 * for await (const event of client.events.subscribe({ filters: ['topic~="^/tasks/"'] })) console.log(event.topic);
 */
import { type ContainerdServices, containerdClients } from '@boxship/api';
import { type ChannelOptions, Client, credentials } from '@grpc/grpc-js';
import { serviceClient } from './service-client.ts';

export interface ContainerdClient extends ContainerdServices, AsyncDisposable {
  readonly namespace: string;
}

export interface ConnectOptions {
  readonly namespace: string;
  /** Default deadline of unary calls. Waiting for a server that is being restarted counts. Default 60 000 ms. */
  readonly timeoutMs?: number;
  /** The lease that keeps what is made by calls that name none. Without one, what no image refers to is collected. */
  readonly lease?: string;
}

const sixteenMiB = 16 * 1024 * 1024; // containerd's own message limit, both ways

const channelOptions: ChannelOptions = {
  'grpc.max_receive_message_length': sixteenMiB,
  'grpc.max_send_message_length': sixteenMiB,
  // a restarted server must be found again within its second, not after grpc's default back-off of up to two minutes
  'grpc.initial_reconnect_backoff_ms': 50,
  'grpc.min_reconnect_backoff_ms': 50,
  'grpc.max_reconnect_backoff_ms': 250,
};

/** Opens a client; nothing is sent before the first call. `address` is a socket path or `unix://` address. */
export function connect(address: string, options: ConnectOptions): ContainerdClient {
  const target = address.startsWith('unix:') ? address : `unix://${address}`;
  const grpc = new Client(target, credentials.createInsecure(), channelOptions);
  const callOptions = { namespace: options.namespace, timeoutMs: options.timeoutMs ?? 60_000, lease: options.lease };
  return {
    namespace: options.namespace,
    ...containerdClients((service) => serviceClient(grpc, service, callOptions)),
    [Symbol.asyncDispose]: async () => grpc.close(),
  };
}
