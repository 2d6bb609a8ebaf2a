/** The sockets of one resolver: UDP and TCP at one port of 127.0.0.11, opened inside of a sandbox. */
import { createSocket } from 'node:dgram';
import { closeSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { bindUdp, listenTcp } from '@boxship/linux';
import { framed, type Transport } from './exchange.ts';

export const resolverAddress = '127.0.0.11';

const maxConnections = 128;
const idleMs = 10_000;
/** Queries of one connection that are answered at a time; more wait in the socket. */
const maxPipelined = 16;

/** Answers a message; undefined: not at all. Never rejects. */
export type Answerer = (message: Buffer, transport: Transport) => Promise<Buffer | undefined>;

export interface ServerSockets {
  readonly udp: number;
  readonly tcp: number;
}

/** Call it inside of the sandbox. @throws the system's error, EADDRINUSE when the port is taken */
export function openSockets(port: number): ServerSockets {
  const udp = bindUdp(resolverAddress, port);
  try {
    return { udp, tcp: listenTcp(resolverAddress, port) };
  } catch (error) {
    closeSync(udp);
    throw error;
  }
}

/** Serves until disposed. The sockets belong to it from here on. */
export function serve(sockets: ServerSockets, answer: Answerer): Disposable {
  let isClosed = false;
  const udp = createSocket({ type: 'udp4', lookup: (host, _options, found) => found(null, host, 4) });
  udp.on('message', async (message, client) => {
    const reply = await answer(message, 'udp');
    // closed meanwhile: the sandbox is gone, and with it the client
    if (reply !== undefined && !isClosed) udp.send(reply, client.port, client.address, () => {});
  });
  udp.on('error', () => {}); // an answer nobody waits for any more
  udp.bind({ fd: sockets.udp });

  const connections = new Set<Socket>();
  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
    converse(socket, answer);
  });
  tcp.maxConnections = maxConnections;
  tcp.on('error', () => {}); // EMFILE while accepting: the next connection is another try
  tcp.listen({ fd: sockets.tcp });

  return {
    [Symbol.dispose]() {
      isClosed = true;
      udp.close();
      tcp.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

/** Message after message, each after its length in two bytes (RFC 7766). */
function converse(socket: Socket, answer: Answerer): void {
  let received = Buffer.alloc(0);
  let pending = 0;
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  const work = (): void => {
    while (pending < maxPipelined && received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
      const end = 2 + received.readUInt16BE(0);
      const message = received.subarray(2, end);
      received = received.subarray(end);
      pending += 1;
      void answer(message, 'tcp').then((reply) => {
        pending -= 1;
        if (reply === undefined) return socket.destroy();
        if (socket.writable) socket.write(framed(reply));
        socket.resume();
        work();
      });
    }
    if (pending >= maxPipelined) socket.pause();
  };
  socket.on('data', (data) => {
    received = Buffer.concat([received, data]);
    work();
  });
}
