/** The edge towards clients: a {@link NetworkController} served as `boxship.network.v1` on a unix socket. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { traceHeader, network as wire } from '@boxship/api';
import { BoxshipError, type Logger, parseTraceparent, toGrpcStatus, withSpan } from '@boxship/base';
import { type handleUnaryCall, Metadata, Server, ServerCredentials } from '@grpc/grpc-js';
import type { NetworkController } from './controller.ts';
import {
  endpointSpecFromWire,
  endpointToWire,
  networkSpecFromWire,
  networkToWire,
  portRequestFromWire,
  sandboxSpecFromWire,
  sandboxToWire,
} from './grpc-messages.ts';

/** Trailer with the exact kind of an error: codes of gRPC are fewer. */
export const errorKindTrailer = 'boxship-error-kind';

export interface ServeOptions {
  readonly controller: NetworkController;
  /** Path of the unix socket. A file left there by a dead server is replaced: ownership is decided by the state directory. */
  readonly address: string;
  readonly log: Logger;
}

const empty = {};

/** Serves until disposed. */
export async function serveController(options: ServeOptions): Promise<AsyncDisposable> {
  const { controller, address, log } = options;
  const answer = <Request, Response>(
    name: string,
    work: (request: Request) => Promise<Response>,
  ): handleUnaryCall<Request, Response> => {
    return (call, callback) => {
      const parent = parseTraceparent(call.metadata.get(traceHeader)[0]?.toString());
      withSpan({ component: 'network', name, parent }, () => work(call.request)).then(
        (response) => callback(null, response),
        (error: unknown) => {
          const { kind } = BoxshipError.from(error);
          if (kind === 'internal') log.error('request failed', { name, error });
          const metadata = new Metadata();
          metadata.set(errorKindTrailer, kind);
          const { code, message } = toGrpcStatus(error);
          callback({ code, details: message, metadata });
        },
      );
    };
  };
  const server = new Server();
  server.addService(wire.NetworksService, {
    create: answer('Networks.Create', async (request: wire.NetworkSpec) =>
      networkToWire(await controller.createNetwork(networkSpecFromWire(request))),
    ),
    get: answer('Networks.Get', async (request: wire.NetworkRef) =>
      networkToWire(await controller.network(request.network)),
    ),
    list: answer('Networks.List', async () => ({ networks: (await controller.listNetworks()).map(networkToWire) })),
    remove: answer('Networks.Remove', async (request: wire.NetworkRef) => {
      await controller.removeNetwork(request.network);
      return empty;
    }),
  });
  server.addService(wire.SandboxesService, {
    create: answer('Sandboxes.Create', async (request: wire.SandboxSpec) =>
      sandboxToWire(await controller.createSandbox(sandboxSpecFromWire(request))),
    ),
    get: answer('Sandboxes.Get', async (request: wire.SandboxRef) =>
      sandboxToWire(await controller.sandbox(request.id)),
    ),
    list: answer('Sandboxes.List', async () => ({ sandboxes: (await controller.listSandboxes()).map(sandboxToWire) })),
    connect: answer('Sandboxes.Connect', async (request: wire.ConnectRequest) => {
      if (request.endpoint === undefined) throw new BoxshipError('invalidArgument', 'endpoint is missing');
      return endpointToWire(await controller.connect(request.sandboxId, endpointSpecFromWire(request.endpoint)));
    }),
    disconnect: answer('Sandboxes.Disconnect', async (request: wire.DisconnectRequest) => {
      await controller.disconnect(request.sandboxId, request.network, { force: request.force });
      return empty;
    }),
    publish: answer('Sandboxes.Publish', async ({ sandboxId, ports }: wire.PortsRequest) => {
      const published = await controller.publish(sandboxId, ports.map(portRequestFromWire));
      return { ports: published.map((port) => ({ ...port })) };
    }),
    unpublish: answer('Sandboxes.Unpublish', async ({ sandboxId, ports }: wire.PortsRequest) => {
      await controller.unpublish(sandboxId, ports.map(portRequestFromWire));
      return empty;
    }),
    rename: answer('Sandboxes.Rename', async (request: wire.RenameRequest) => {
      await controller.rename(request.sandboxId, request.containerName);
      return empty;
    }),
    statistics: answer('Sandboxes.Statistics', async (request: wire.SandboxRef) => ({
      interfaces: (await controller.statistics(request.id)).map((entry) => ({
        interfaceName: entry.interfaceName,
        rxBytes: BigInt(entry.rxBytes),
        rxPackets: BigInt(entry.rxPackets),
        rxErrors: BigInt(entry.rxErrors),
        rxDropped: BigInt(entry.rxDropped),
        txBytes: BigInt(entry.txBytes),
        txPackets: BigInt(entry.txPackets),
        txErrors: BigInt(entry.txErrors),
        txDropped: BigInt(entry.txDropped),
      })),
    })),
    remove: answer('Sandboxes.Remove', async (request: wire.SandboxRef) => {
      await controller.removeSandbox(request.id);
      return empty;
    }),
  });
  mkdirSync(dirname(address), { recursive: true, mode: 0o711 });
  rmSync(address, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${address}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(BoxshipError.from(error)),
    );
  });
  chmodSync(address, 0o600);
  return {
    async [Symbol.asyncDispose]() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.tryShutdown(() => resolve());
      // calls that are under way get a moment; being killed is survivable in any case
      const timer = setTimeout(() => {
        server.forceShutdown();
        resolve();
      }, 2000);
      await promise;
      clearTimeout(timer);
    },
  };
}
