/** Serves a controller on two unix sockets: over gRPC at the address, and over ttrpc beside it, for those who count milliseconds. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { network as wire } from '@boxship/api';
import type { Logger } from '@boxship/base';
import { TtrpcServer } from '@boxship/ttrpc';
import type { NetworkController } from '../controller.ts';
import { graceMs, serveGrpc } from './grpc-server.ts';
import { type NetworkServices, networkServices } from './services.ts';
import { ttrpcAddress } from './ttrpc-address.ts';

export interface ServeOptions {
  readonly controller: NetworkController;
  /** Path of the unix socket. A file left there by a dead server is replaced: ownership is decided by the state directory. */
  readonly address: string;
  readonly log: Logger;
}

/** Serves until disposed. */
export async function serveController({ controller, address, log }: ServeOptions): Promise<AsyncDisposable> {
  const services = networkServices(controller);
  mkdirSync(dirname(address), { recursive: true, mode: 0o711 });
  for (const path of [address, ttrpcAddress(address)]) rmSync(path, { force: true });
  await using servers = new AsyncDisposableStack();
  // the socket of gRPC is what a supervisor waits for: it comes last
  servers.use(await serveTtrpc(services, ttrpcAddress(address), log));
  servers.use(await serveGrpc(services, address, log));
  for (const path of [address, ttrpcAddress(address)]) chmodSync(path, 0o600);
  return servers.move();
}

async function serveTtrpc(services: NetworkServices, path: string, log: Logger): Promise<AsyncDisposable> {
  const server = new TtrpcServer({
    component: 'network',
    onError: (name, error) => {
      if (error.kind === 'internal') log.error('request failed', { name, error });
    },
  });
  server.register(wire.NetworksService, services.networks);
  server.register(wire.SandboxesService, services.sandboxes);
  await server.listen({ path });
  return {
    async [Symbol.asyncDispose]() {
      await server.drain(graceMs);
      await server[Symbol.asyncDispose]();
    },
  };
}
