/**
 * The Task service over gRPC, for a containerd that is to speak it with its shims (protocol `grpc` of the bootstrap answer).
 * Unary calls are all there is, so Node's own HTTP/2 serves: the library would cost every shim 9 MB.
 * Wire: gRPC over HTTP2 (PROTOCOL-HTTP2.md): one message is a flag byte, a length of 32 bits, and the bytes.
 */
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import { BoxshipError, toGrpcStatus } from '@boxship/base';
import {
  type AnyMethod,
  type CallContext,
  type ServiceDefinition,
  type ServiceHandlers,
  splitPath,
} from '@boxship/ttrpc';

const PREFIX_BYTES = 5;
/** As containerd's clients. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;
const unitsMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };

type Invoke = (payload: Buffer, context: CallContext) => Promise<Uint8Array>;

export interface GrpcServerOptions {
  /** False closes a new connection at once. */
  readonly authorize: (socket: Socket) => boolean;
  readonly onError: (path: string, error: BoxshipError) => void;
}

export class GrpcServer implements AsyncDisposable {
  readonly #options: GrpcServerOptions;
  readonly #methods = new Map<string, Invoke>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #server: Http2Server;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#server = createServer();
    // before HTTP/2 takes the socket over
    this.#server.prependListener('connection', (socket) => {
      if (!options.authorize(socket)) socket.destroy();
    });
    this.#server.on('session', (session) => this.#accept(session));
    this.#server.on('stream', (stream, headers) => void this.#serve(stream, headers));
  }

  /** Adds a service, under its own name or another with the same methods. */
  register<S extends ServiceDefinition>(definition: S, handlers: ServiceHandlers<S>, serviceName?: string): void {
    for (const [name, method] of Object.entries(definition) as [keyof S & string, AnyMethod][]) {
      const { service, method: methodName } = splitPath(method.path);
      const handler = handlers[name] as (request: unknown, context: CallContext) => Promise<unknown>;
      const serialize = method.responseSerialize as (value: unknown) => Uint8Array;
      this.#methods.set(`/${serviceName ?? service}/${methodName}`, async (payload, context) =>
        serialize(await handler(method.requestDeserialize(payload), context)),
      );
    }
  }

  async listen(where: { readonly path: string }): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(where, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  #accept(session: ServerHttp2Session): void {
    session.on('error', () => session.destroy()); // a peer that resets its connection is normal
    this.#sessions.add(session);
    session.on('close', () => this.#sessions.delete(session));
  }

  async #serve(stream: ServerHttp2Stream, headers: Readonly<Record<string, unknown>>): Promise<void> {
    const path = String(headers[':path'] ?? '');
    const gone = new AbortController();
    stream.on('error', () => {}); // the caller went away: the answer has no reader
    stream.on('close', () => gone.abort(new BoxshipError('cancelled', 'the client went away')));
    try {
      const invoke = this.#methods.get(path);
      if (invoke === undefined) throw new BoxshipError('unimplemented', `unknown method ${path}`);
      const timeoutMs = parseTimeout(headers['grpc-timeout']);
      const signal =
        timeoutMs === undefined ? gone.signal : AbortSignal.any([gone.signal, AbortSignal.timeout(timeoutMs)]);
      const answer = await invoke(await readMessage(stream), { metadata: metadataOf(headers), signal });
      if (stream.destroyed) return;
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
      stream.end(frameOf(answer));
    } catch (error) {
      this.#options.onError(path, BoxshipError.from(error));
      if (stream.destroyed || stream.headersSent) return;
      const { code, message } = toGrpcStatus(error);
      const status = { 'grpc-status': String(code), 'grpc-message': percentEncoded(message) };
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, { endStream: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    await closed;
  }
}

async function readMessage(stream: ServerHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > PREFIX_BYTES + MAX_MESSAGE_BYTES)
      throw new BoxshipError('resourceExhausted', `message is longer than ${MAX_MESSAGE_BYTES} bytes`);
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  if (body.length < PREFIX_BYTES || body.readUInt32BE(1) !== body.length - PREFIX_BYTES)
    throw new BoxshipError('invalidArgument', 'the request is not one message');
  if (body[0] !== 0) throw new BoxshipError('unimplemented', 'compressed messages are not read');
  return body.subarray(PREFIX_BYTES);
}

function frameOf(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** As the protocol wants the text of a status: printable ASCII as it is, everything else and the percent sign escaped. */
const percentEncoded = (text: string): string =>
  Array.from(Buffer.from(text), (byte) =>
    byte >= 0x20 && byte <= 0x7e && byte !== 0x25
      ? String.fromCharCode(byte)
      : `%${byte.toString(16).padStart(2, '0').toUpperCase()}`,
  ).join('');

/** `5S`, `250m` …; undefined: no deadline. */
function parseTimeout(value: unknown): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(typeof value === 'string' ? value : '');
  return match === null ? undefined : Math.min(Number(match[1]) * (unitsMs[match[2] ?? ''] ?? 1), 2 ** 31 - 1);
}

const metadataOf = (headers: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter((pair): pair is [string, string] => typeof pair[1] === 'string'));
