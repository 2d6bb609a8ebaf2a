/**
 * A client: one connection, any number of calls at a time, answers in any order. The connection is also the sign of life of
 * the server; when it ends, every open call ends with `unavailable` and {@link TtrpcClient.closed} resolves.
 */
import { connect, type Socket } from 'node:net';
import { BoxshipError, currentTraceparent, fromGrpcStatus, withDeadline } from '@boxship/base';
import { decodeResponse, encodeRequest, type Metadata } from './envelope.ts';
import { encodeFrame, FrameDecoder, frameTypes } from './frame.ts';
import { type AnyMethod, type CallOptions, type ServiceClient, type ServiceDefinition, splitPath } from './service.ts';

interface PendingCall {
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

export interface ConnectOptions {
  /** Sent with every call. */
  readonly metadata?: Metadata;
  /** Default 10 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export class TtrpcClient implements AsyncDisposable {
  readonly #socket: Socket;
  readonly #metadata: Metadata;
  readonly #calls = new Map<number, PendingCall>();
  readonly #closed = Promise.withResolvers<BoxshipError>();
  #nextStream = 1;
  #end: BoxshipError | undefined;

  /** Connects to a socket path; `unix://` in front of it is allowed. @throws unavailable, notFound, deadlineExceeded */
  static async connect(address: string, options: ConnectOptions = {}): Promise<TtrpcClient> {
    const path = address.replace(/^unix:\/\//, '');
    const socket = connect({ path });
    try {
      await withDeadline(
        {
          component: 'ttrpc',
          operation: 'connect',
          id: path,
          timeoutMs: options.timeoutMs ?? 10_000,
          ...(options.signal && { signal: options.signal }),
        },
        () =>
          new Promise<void>((resolve, reject) => {
            socket.once('connect', resolve);
            socket.once('error', reject);
          }),
      );
    } catch (error) {
      socket.destroy();
      throw BoxshipError.from(error);
    }
    return new TtrpcClient(socket, options.metadata ?? {});
  }

  /** Speaks over a connected socket, which the client then owns. */
  constructor(socket: Socket, metadata: Metadata = {}) {
    this.#socket = socket;
    this.#metadata = metadata;
    const decoder = new FrameDecoder();
    socket.on('data', (chunk: Buffer) => {
      for (const frame of decoder.push(chunk)) this.#receive(frame.stream, frame.type, frame.body);
    });
    socket.on('error', (error) => this.#finish(error));
    socket.on('close', () => this.#finish(undefined));
  }

  /** Resolves (never rejects) with the reason when the connection has ended, by whichever side. */
  get closed(): Promise<BoxshipError> {
    return this.#closed.promise;
  }

  get isClosed(): boolean {
    return this.#end !== undefined;
  }

  /** Lets the process end although the connection is open. */
  unref(): void {
    this.#socket.unref();
  }

  /** The typed face of a service. `serviceName` overrides the name in the definition (`containerd.task.v3.Task`). */
  service<S extends ServiceDefinition>(definition: S, serviceName?: string): ServiceClient<S> {
    const methods = Object.entries(definition).map(([name, method]) => [
      name,
      (request: never, options?: CallOptions) => this.#invoke(method, request, options, serviceName),
    ]);
    return Object.fromEntries(methods) as ServiceClient<S>;
  }

  async #invoke(
    method: AnyMethod,
    request: never,
    options: CallOptions | undefined,
    serviceName: string | undefined,
  ): Promise<unknown> {
    const path = splitPath(method.path);
    const payload = await this.call(
      serviceName ?? path.service,
      path.method,
      method.requestSerialize(request),
      options,
    );
    return method.responseDeserialize(Buffer.from(payload.buffer, payload.byteOffset, payload.length));
  }

  /** One call with bytes in and out. */
  async call(service: string, method: string, payload: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    const { timeoutMs, signal } = options;
    if (this.#end !== undefined) throw new BoxshipError('unavailable', this.#end.message, unsent(this.#end));
    signal?.throwIfAborted();
    const traceparent = currentTraceparent();
    const envelope = encodeRequest({
      service,
      method,
      payload,
      timeoutNs: BigInt(Math.round((timeoutMs ?? 0) * 1e6)),
      metadata: { ...this.#metadata, ...(traceparent !== undefined && { traceparent }), ...options.metadata },
    });
    const stream = this.#nextStream;
    const frame = encodeFrame(stream, frameTypes.request, envelope);
    this.#nextStream += 2;
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    this.#calls.set(stream, { resolve, reject });
    // ttrpc has no cancel: the late answer is dropped when it comes
    const onAbort = () => reject(signal?.reason);
    signal?.addEventListener('abort', onAbort, { once: true });
    // a timer of its own: the signals of withDeadline cost as much as the rest of a call
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => reject(tooLate(`${service}/${method}`, timeoutMs)), timeoutMs);
    // what could not be written whole has not been read
    this.#socket.write(frame, (error) => {
      if (error) reject(new BoxshipError('unavailable', `ttrpc connection: ${error.message}`, unsent(error)));
    });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#calls.delete(stream);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #receive(stream: number, type: number, body: Uint8Array | undefined): void {
    const call = this.#calls.get(stream);
    if (type !== frameTypes.response || call === undefined) return; // the caller has given up
    if (body === undefined) {
      call.reject(new BoxshipError('resourceExhausted', 'ttrpc answer is longer than 4 MiB'));
      return;
    }
    try {
      const response = decodeResponse(body);
      if (response.status === undefined || response.status.code === 0) call.resolve(response.payload);
      else call.reject(fromGrpcStatus(response.status));
    } catch (error) {
      call.reject(error);
    }
  }

  #finish(cause: Error | undefined): void {
    if (this.#end !== undefined) return;
    const reason = cause === undefined ? 'closed' : cause.message;
    this.#end = new BoxshipError('unavailable', `ttrpc connection: ${reason}`, cause === undefined ? {} : { cause });
    for (const call of this.#calls.values()) call.reject(this.#end);
    this.#calls.clear();
    this.#closed.resolve(this.#end);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.destroy();
    await this.#closed.promise;
  }
}

/** Of an error after which the call may be made anew whatever it does. */
const unsent = (cause: unknown) => ({ cause, details: { isUnsent: true } });

const tooLate = (operation: string, timeoutMs: number): BoxshipError =>
  new BoxshipError('deadlineExceeded', `ttrpc: ${operation} took longer than ${timeoutMs} ms`);
