/** The TCP form of a {@link PortListener}. */
import { connect, createServer, type Socket } from 'node:net';
import type { PortListener, PortTarget } from './port-listener.ts';

const connectTimeoutMs = 10_000;

export async function listenTcp(address: string, port: number): Promise<PortListener> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const open = new Set<Socket>();
  const listener: PortListener = {
    target: undefined,
    [Symbol.dispose]() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
  server.on('connection', (client) => {
    if (listener.target === undefined) client.destroy();
    else carry(client, listener.target, open);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: address, port, ipv6Only: true, backlog: 4096, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  // EMFILE while accepting: the next connection is another try
  server.on('error', () => {});
  return listener;
}

function carry(client: Socket, target: PortTarget, open: Set<Socket>): void {
  const upstream = connect({ host: target.address, port: target.port, allowHalfOpen: true, timeout: connectTimeoutMs });
  const end = (): void => {
    client.destroy();
    upstream.destroy();
  };
  for (const socket of [client, upstream]) {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    socket.on('error', end); // either side broke off: so does the other
    socket.setNoDelay(true);
  }
  upstream.once('timeout', end);
  upstream.once('connect', () => {
    upstream.setTimeout(0);
    client.pipe(upstream);
    upstream.pipe(client);
    client.resume();
  });
}
