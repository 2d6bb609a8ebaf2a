/** A proxy in front of a registry that does what registries do on bad days. Records what it was asked. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
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
  /** Pass on, and change the byte at this place of the body, which must be in its first piece. */
  | { readonly corruptAt: number }
  /** Pass on with a body that is longer or shorter than it should be, and says so. */
  | { readonly lengthBy: number }
  /** Pass on so many bytes of the body, then nothing more, for ever. */
  | { readonly stallAfter: number }
  /** Pass on after so long, or piece by piece at so many bytes a second. */
  | { readonly delayMs: number }
  | { readonly bytesPerSecond: number }
  /** Pass on so many bytes of the body, then reset the connection. */
  | { readonly resetAfter: number }
  | { readonly drop: true };

export interface FaultyProxy extends AsyncDisposable {
  readonly host: string;
  readonly seen: Seen[];
  /** Bytes of blobs that have been passed on. */
  blobBytes(): number;
}

export async function faultyProxy(target: string, fault: Fault): Promise<FaultyProxy> {
  const seen: Seen[] = [];
  let blobBytes = 0;
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
    else
      pass(target, host, incoming, outgoing, what, (count) => {
        if (one.path.includes('/blobs/')) blobBytes += count;
      });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  return {
    host,
    seen,
    blobBytes: () => blobBytes,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

type Passing = Exclude<ReturnType<Fault>, undefined | { readonly status: number } | { readonly drop: true }>;

function pass(
  target: string,
  own: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  fault: Passing | undefined,
  onBytes: (count: number) => void,
): void {
  const [hostname, port] = target.split(':');
  const onward = request(
    { hostname, port, method: incoming.method, path: incoming.url, headers: { ...incoming.headers, host: own } },
    (answer) => {
      answer.on('error', () => outgoing.destroy());
      send(answer, outgoing, fault, onBytes).catch(() => outgoing.destroy());
    },
  );
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}

async function writable(outgoing: ServerResponse): Promise<void> {
  const over = new AbortController();
  await Promise.any(['drain', 'close'].map((event) => once(outgoing, event, { signal: over.signal })));
  over.abort();
}

async function send(
  answer: IncomingMessage,
  outgoing: ServerResponse,
  fault: Passing | undefined,
  onBytes: (count: number) => void,
): Promise<void> {
  const value = <Key extends string>(key: Key): number | undefined =>
    fault !== undefined && key in fault ? Number((fault as Readonly<Record<string, unknown>>)[key]) : undefined;
  const delayMs = value('delayMs');
  if (delayMs !== undefined) await sleep(delayMs);
  const lengthBy = value('lengthBy') ?? 0;
  const headers = { ...answer.headers };
  if (lengthBy !== 0) headers['content-length'] = String(Number(headers['content-length']) + lengthBy);
  outgoing.writeHead(answer.statusCode ?? 500, headers);
  const end = value('cutAfter') ?? value('stallAfter') ?? value('resetAfter') ?? Number.POSITIVE_INFINITY;
  const bytesPerSecond = value('bytesPerSecond');
  let passed = 0;
  const put = async (whole: Buffer): Promise<void> => {
    const pieceBytes = bytesPerSecond === undefined ? Math.max(1, whole.length) : 16_384;
    for (let at = 0; at < whole.length; at += pieceBytes) {
      const piece = whole.subarray(at, at + pieceBytes);
      passed += piece.length;
      onBytes(piece.length);
      if (bytesPerSecond !== undefined) await sleep((piece.length / bytesPerSecond) * 1000);
      if (!outgoing.write(piece)) await writable(outgoing);
      if (outgoing.destroyed) throw new Error('the client has gone');
    }
  };
  const held: Buffer[] = []; // a body that is to be shorter is known only at its end
  for await (const one of answer) {
    const chunk = one as Buffer;
    const corruptAt = fault !== undefined && 'corrupt' in fault ? 0 : value('corruptAt');
    if (corruptAt !== undefined && passed === 0) chunk[corruptAt] = (chunk[corruptAt] ?? 0) ^ 0xff;
    if (lengthBy < 0) held.push(chunk);
    else if (passed + chunk.length > end) {
      await put(chunk.subarray(0, end - passed));
      if (value('stallAfter') !== undefined) return; // the connection stays
      if (value('resetAfter') !== undefined) outgoing.socket?.resetAndDestroy();
      outgoing.destroy();
      return;
    } else await put(chunk);
  }
  if (lengthBy > 0) await put(Buffer.alloc(lengthBy));
  if (lengthBy < 0) {
    const whole = Buffer.concat(held);
    await put(whole.subarray(0, whole.length + lengthBy));
  }
  outgoing.end();
}
