/** The UDP form of a {@link PortListener}: one upstream socket per client, dropped after the idle time Docker's proxy has. */
import { createSocket, type Socket } from 'node:dgram';
import type { PortListener, PortTarget } from './port-listener.ts';

const idleMs = 90_000;
const maxClients = 4096;

interface Flow {
  readonly upstream: Socket;
  readonly timer: NodeJS.Timeout;
}

export async function listenUdp(address: string, port: number): Promise<PortListener> {
  const server = createSocket(address.includes(':') ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' });
  const flows = new Map<string, Flow>();
  const drop = (key: string): void => {
    const flow = flows.get(key);
    if (flow === undefined) return;
    flows.delete(key);
    clearTimeout(flow.timer);
    flow.upstream.close();
  };
  const listener: PortListener = {
    target: undefined,
    [Symbol.dispose]() {
      for (const key of [...flows.keys()]) drop(key);
      server.close();
    },
  };
  const begin = (key: string, target: PortTarget, client: { address: string; port: number }): Flow => {
    const upstream = createSocket(target.address.includes(':') ? 'udp6' : 'udp4');
    upstream.on('message', (data) => {
      flows.get(key)?.timer.refresh();
      server.send(data, client.port, client.address);
    });
    upstream.on('error', () => drop(key)); // port unreachable: the client sees silence, as with Docker's proxy
    return { upstream, timer: setTimeout(() => drop(key), idleMs).unref() };
  };
  server.on('message', (data, client) => {
    const { target } = listener;
    if (target === undefined) return;
    const key = `${client.address} ${client.port}`;
    let flow = flows.get(key);
    if (flow === undefined) {
      const oldest = flows.keys().next().value;
      if (flows.size >= maxClients && oldest !== undefined) drop(oldest);
      flow = begin(key, target, client);
      flows.set(key, flow);
    }
    flow.timer.refresh();
    flow.upstream.send(data, target.port, target.address);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.bind({ address, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', () => {}); // a failed send of one answer
  return listener;
}
