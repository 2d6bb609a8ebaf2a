/**
 * A server: services by name, requests of one connection run concurrently, failures become statuses. Register services,
 * then {@link TtrpcServer.listen}; closing ends the listener and every connection.
 */
import { createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import { atMost, BoxshipError, parseTraceparent, toGrpcStatus, withSpan } from '@boxship/base';
import { decodeRequest, encodeResponse, type RequestEnvelope, type ResponseEnvelope } from './envelope.ts';
import { encodeFrame, type Frame, FrameDecoder, frameTypes } from './frame.ts';
import {
  type AnyMethod,
  type CallContext,
  type ServiceDefinition,
  type ServiceHandlers,
  splitPath,
} from './service.ts';

type Invoke = (payload: Uint8Array, context: CallContext) => Promise<Uint8Array>;

export interface TtrpcServerOptions {
  /** The component named in trace spans. */
  readonly component: string;
  /** False closes a new connection at once (a peer of another user). */
  readonly authorize?: (socket: Socket) => boolean;
  /** Told of every failed call. */
  readonly onError?: (path: string, error: BoxshipError) => void;
}

export class TtrpcServer implements AsyncDisposable {
  readonly #options: TtrpcServerOptions;
  readonly #methods = new Map<string, Invoke>();
  readonly #services = new Set<string>();
  readonly #connections = new Set<Socket>();
  readonly #server: Server;
  #running = 0;
  #onIdle: (() => void) | undefined;

  constructor(options: TtrpcServerOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Adds a service, under its own name or another with the same methods. */
  register<S extends ServiceDefinition>(definition: S, handlers: ServiceHandlers<S>, serviceName?: string): void {
    for (const [name, method] of Object.entries(definition) as [keyof S & string, AnyMethod][]) {
      const path = splitPath(method.path);
      const service = serviceName ?? path.service;
      const handler = handlers[name] as (request: unknown, context: CallContext) => Promise<unknown>;
      const serialize = method.responseSerialize as (value: unknown) => Uint8Array;
      this.#services.add(service);
      this.#methods.set(`/${service}/${path.method}`, async (payload, context) => {
        const request: unknown = decodePayload(method, payload);
        return serialize(await handler(request, context));
      });
    }
  }

  /** Listens at a path, or on an inherited descriptor. */
  async listen(where: Pick<ListenOptions, 'path'> | { readonly fd: number }): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(where, () => {
        this.#server.off('error', reject);
        resolve();
      });
    });
  }

  #accept(socket: Socket): void {
    // a peer that resets its connection is normal: `ctr` does at each end of a command
    socket.on('error', () => socket.destroy());
    if (this.#options.authorize?.(socket) === false) {
      socket.destroy();
      return;
    }
    this.#connections.add(socket);
    const ended = new AbortController();
    socket.on('close', () => {
      this.#connections.delete(socket);
      ended.abort(new BoxshipError('cancelled', 'the client went away'));
    });
    const decoder = new FrameDecoder();
    socket.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) void this.#serve(socket, frame, ended.signal);
    });
  }

  async #serve(socket: Socket, frame: Frame, connectionSignal: AbortSignal): Promise<void> {
    const answer = (response: ResponseEnvelope) => {
      if (!socket.destroyed) socket.write(encodeFrame(frame.stream, frameTypes.response, encodeResponse(response)));
    };
    let path = '';
    this.#running++;
    try {
      const request = openRequest(frame);
      path = `/${request.service}/${request.method}`;
      const invoke = this.#methods.get(path);
      if (invoke === undefined) throw unknownMethod(this.#services.has(request.service), request);
      const context = contextOf(request, connectionSignal);
      const parent = parseTraceparent(request.metadata['traceparent']);
      const payload = await withSpan({ component: this.#options.component, name: path.slice(1), parent }, () =>
        invoke(request.payload, context),
      );
      answer({ status: undefined, payload });
    } catch (error) {
      this.#options.onError?.(path, BoxshipError.from(error));
      answer({ status: toGrpcStatus(error), payload: new Uint8Array(0) });
    } finally {
      if (--this.#running === 0) this.#onIdle?.();
    }
  }

  /** Takes no further connections and gives the calls that are under way a moment to end. */
  async drain(timeoutMs: number): Promise<void> {
    this.#server.close();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#onIdle = resolve;
    if (this.#running > 0) await atMost(timeoutMs, promise);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // answers already written leave before the end of the connection
    for (const socket of this.#connections) socket.destroySoon();
    await closed;
  }
}

/** The signal is made when it is asked for: most methods do not, and it costs as much as the rest of a call. */
function contextOf(request: RequestEnvelope, connectionSignal: AbortSignal): CallContext {
  const timeoutMs = Number(request.timeoutNs / 1_000_000n);
  if (timeoutMs === 0) return { metadata: request.metadata, signal: connectionSignal };
  const deadline = performance.now() + timeoutMs;
  let signal: AbortSignal | undefined;
  return {
    metadata: request.metadata,
    get signal() {
      const leftMs = Math.max(0, Math.ceil(deadline - performance.now()));
      signal ??= AbortSignal.any([connectionSignal, AbortSignal.timeout(leftMs)]);
      return signal;
    },
  };
}

function openRequest(frame: Frame) {
  if (frame.type !== frameTypes.request)
    throw new BoxshipError('unimplemented', `frame type ${frame.type}: streams are not served`);
  if (frame.stream % 2 !== 1)
    throw new BoxshipError('invalidArgument', 'StreamID must be odd for client initiated streams');
  if (frame.body === undefined) throw new BoxshipError('resourceExhausted', 'message is longer than 4 MiB');
  return decodeRequest(frame.body);
}

function unknownMethod(isServiceKnown: boolean, request: { service: string; method: string }): BoxshipError {
  return new BoxshipError('unimplemented', isServiceKnown ? `method ${request.method}` : `service ${request.service}`);
}

function decodePayload(method: AnyMethod, payload: Uint8Array): unknown {
  try {
    return method.requestDeserialize(Buffer.from(payload.buffer, payload.byteOffset, payload.length));
  } catch (error) {
    throw new BoxshipError('invalidArgument', `malformed request for ${method.path}`, { cause: error });
  }
}
