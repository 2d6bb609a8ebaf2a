/** The edge towards a server: a {@link NetworkController} that lives in `boxship-networkd`. */
import { traceHeader, network as wire } from '@boxship/api';
import { BoxshipError, currentTraceparent, type ErrorKind, fromGrpcStatus, retry } from '@boxship/base';
import { type CallOptions, type ClientUnaryCall, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { NetworkController } from './controller.ts';
import {
  endpointFromWire,
  endpointSpecToWire,
  networkFromWire,
  networkSpecToWire,
  portRequestToWire,
  publishedPortFromWire,
  sandboxFromWire,
  sandboxSpecToWire,
} from './grpc-messages.ts';
import { errorKindTrailer } from './grpc-server.ts';

export interface ConnectOptions {
  /** Time a call may take, a restart of the server included (default 30 s). */
  readonly timeoutMs?: number;
}

export interface RemoteController extends NetworkController, Disposable {}

/** Connects lazily; calls made while the server is being started again wait for it. @param address path of the unix socket */
export function connectController(address: string, options: ConnectOptions = {}): RemoteController {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const channelOptions = {
    'grpc.initial_reconnect_backoff_ms': 50,
    'grpc.min_reconnect_backoff_ms': 50,
    'grpc.max_reconnect_backoff_ms': 250,
    'grpc.enable_http_proxy': 0,
  };
  const target = `unix:${address}`;
  const networks = new wire.NetworksClient(target, credentials.createInsecure(), channelOptions);
  const sandboxes = new wire.SandboxesClient(target, credentials.createInsecure(), channelOptions);

  type Method<Request, Response> = (
    request: Request,
    metadata: Metadata,
    options: Partial<CallOptions>,
    callback: (error: ServiceError | null, response: Response) => void,
  ) => ClientUnaryCall;

  const once = <Request, Response>(method: Method<Request, Response>, request: Request, deadline: number) =>
    new Promise<Response>((resolve, reject) => {
      const metadata = new Metadata({ waitForReady: true });
      const traceparent = currentTraceparent();
      if (traceparent !== undefined) metadata.set(traceHeader, traceparent);
      method(request, metadata, { deadline }, (error, response) => {
        if (error === null) resolve(response);
        else reject(errorOf(error, address));
      });
    });
  /** For calls whose repetition changes nothing: one that a dying server cut off is sent to its successor. */
  const repeatable = <Request, Response>(method: Method<Request, Response>, request: Request) => {
    const deadline = Date.now() + timeoutMs;
    return retry(
      {
        attempts: 5,
        firstDelayMs: 20,
        maxDelayMs: 250,
        isRetryable: (error) => BoxshipError.is(error, 'unavailable') && error.details['isTransport'] === true,
      },
      () => once(method, request, deadline),
    );
  };
  const single = <Request, Response>(method: Method<Request, Response>, request: Request) =>
    once(method, request, Date.now() + timeoutMs);

  return {
    createNetwork: async (spec) =>
      networkFromWire(await single(networks.create.bind(networks), networkSpecToWire(spec))),
    network: async (idOrName) => networkFromWire(await repeatable(networks.get.bind(networks), { network: idOrName })),
    listNetworks: async () => (await repeatable(networks.list.bind(networks), {})).networks.map(networkFromWire),
    async removeNetwork(idOrName) {
      await single(networks.remove.bind(networks), { network: idOrName });
    },
    createSandbox: async (spec) =>
      sandboxFromWire(await repeatable(sandboxes.create.bind(sandboxes), sandboxSpecToWire(spec))),
    sandbox: async (id) => sandboxFromWire(await repeatable(sandboxes.get.bind(sandboxes), { id })),
    listSandboxes: async () => (await repeatable(sandboxes.list.bind(sandboxes), {})).sandboxes.map(sandboxFromWire),
    connect: async (sandboxId, endpoint) =>
      endpointFromWire(
        await single(sandboxes.connect.bind(sandboxes), { sandboxId, endpoint: endpointSpecToWire(endpoint) }),
      ),
    async disconnect(sandboxId, network, disconnectOptions) {
      const request = { sandboxId, network, force: disconnectOptions?.force ?? false };
      await single(sandboxes.disconnect.bind(sandboxes), request);
    },
    async publish(sandboxId, ports) {
      const request = { sandboxId, ports: ports.map(portRequestToWire) };
      return (await single(sandboxes.publish.bind(sandboxes), request)).ports.map(publishedPortFromWire);
    },
    async unpublish(sandboxId, ports) {
      await repeatable(sandboxes.unpublish.bind(sandboxes), { sandboxId, ports: ports.map(portRequestToWire) });
    },
    async rename(sandboxId, containerName) {
      await repeatable(sandboxes.rename.bind(sandboxes), { sandboxId, containerName });
    },
    statistics: async (sandboxId) =>
      (await repeatable(sandboxes.statistics.bind(sandboxes), { id: sandboxId })).interfaces.map((entry) => ({
        interfaceName: entry.interfaceName,
        rxBytes: Number(entry.rxBytes),
        rxPackets: Number(entry.rxPackets),
        rxErrors: Number(entry.rxErrors),
        rxDropped: Number(entry.rxDropped),
        txBytes: Number(entry.txBytes),
        txPackets: Number(entry.txPackets),
        txErrors: Number(entry.txErrors),
        txDropped: Number(entry.txDropped),
      })),
    async removeSandbox(id) {
      await repeatable(sandboxes.remove.bind(sandboxes), { id });
    },
    [Symbol.dispose]() {
      networks.close();
      sandboxes.close();
    },
  };
}

/** With the trailer: the server's own error. Without: the transport's. */
function errorOf(error: ServiceError, address: string): BoxshipError {
  const kind = error.metadata?.get(errorKindTrailer)[0]?.toString() as ErrorKind | undefined;
  const received = fromGrpcStatus({ code: error.code, message: error.details });
  if (kind !== undefined) return new BoxshipError(kind, received.message);
  return new BoxshipError(received.kind, `network controller at ${address}: ${received.message}`, {
    details: { isTransport: true },
  });
}
