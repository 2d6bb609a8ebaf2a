/** A proxy in front of a registry that does what registries do on bad days. Records what it was asked. */
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { freePort } from './docker-registry.ts';

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

/** What to do with a request; undefined = pass on. `count` is how often this method and path were asked before. */
export type Fault = (
  seen: Seen,
  count: number,
) =>
  | undefined
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  /** Pass on, and cut the connection after so many bytes of the body. */
  | { readonly cutAfter: number }
  /** Pass on, and change the first byte of the body, or add to it. */
  | { readonly corrupt: true }
  | { readonly drop: true };

export interface FaultyProxy extends AsyncDisposable {
  readonly host: string;
  readonly seen: Seen[];
}

export async function faultyProxy(target: string, fault: Fault): Promise<FaultyProxy> {
  const seen: Seen[] = [];
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const server = createServer((incoming, outgoing) => {
    const one: Seen = { method: incoming.method ?? '', path: incoming.url ?? '', headers: incoming.headers };
    const count = seen.filter((other) => other.method === one.method && other.path === one.path).length;
    seen.push(one);
    const what = fault(one, count);
    if (what !== undefined && 'status' in what) {
      incoming.resume();
      outgoing.writeHead(what.status, what.headers).end(what.body);
    } else if (what !== undefined && 'drop' in what) incoming.socket.destroy();
    else pass(target, host, incoming, outgoing, what);
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    host,
    seen,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function pass(
  target: string,
  own: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: undefined | { readonly cutAfter: number } | { readonly corrupt: true },
): void {
  const [hostname, port] = target.split(':');
  const onward = request(
    { hostname, port, method: incoming.method, path: incoming.url, headers: { ...incoming.headers, host: own } },
    (answer) => {
      outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
      let passed = 0;
      answer.on('data', (chunk: Buffer) => {
        if (fault !== undefined && 'corrupt' in fault && passed === 0) chunk[0] = (chunk[0] ?? 0) ^ 0xff;
        if (fault !== undefined && 'cutAfter' in fault && passed + chunk.length > fault.cutAfter) {
          outgoing.write(chunk.subarray(0, fault.cutAfter - passed), () => outgoing.destroy());
          answer.destroy();
          return;
        }
        passed += chunk.length;
        outgoing.write(chunk);
      });
      answer.on('end', () => outgoing.end());
      answer.on('error', () => outgoing.destroy());
    },
  );
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}
