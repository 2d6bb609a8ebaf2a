/** Where shims deliver their events: a ttrpc socket beside the gRPC one, `<address>.ttrpc`. */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { eventsTtrpc } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { TtrpcServer } from '@boxship/ttrpc';
import type { EventExchange } from './exchange.ts';

/** Listens; a socket file of a dead predecessor is replaced. */
export async function serveShimEvents(exchange: EventExchange, address: string): Promise<TtrpcServer> {
  const path = `${address}.ttrpc`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o711 });
  const server = new TtrpcServer({ component: 'containerd' });
  server.register(eventsTtrpc.EventsService, {
    async forward({ envelope }) {
      if (envelope === undefined) throw new BoxshipError('invalidArgument', 'envelope must be set');
      exchange.forward(envelope);
      return {};
    },
  });
  rmSync(path, { force: true });
  await server.listen({ path });
  chmodSync(path, 0o660);
  return server;
}
