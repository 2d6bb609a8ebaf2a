/**
 * One typed client for any generated gRPC service: promises for unary methods, async iterables for streams, errors by kind.
 * This is the only file that knows grpc-js on the calling side. A local (in-process) server offers the same shape.
 */

import {
  type CallOptions,
  type Duplex,
  leaseHeader,
  type MethodDefinition,
  namespaceHeader,
  type ServiceClient,
  traceHeader,
} from '@boxship/api';
import { BoxshipError, currentTraceparent, fromGrpcStatus } from '@boxship/base';
import { type Client, type CallOptions as GrpcCallOptions, Metadata, type ServiceError, status } from '@grpc/grpc-js';

export interface ServiceClientOptions {
  /** containerd namespace sent with each call; empty: none. */
  readonly namespace: string;
  readonly timeoutMs: number;
  /** The lease of calls that name none. */
  readonly lease?: string | undefined;
}

type AnyMethod = MethodDefinition<object, object>;

/** Makes the client of `service` over an open grpc-js client. */
export function serviceClient<Service extends object>(
  grpc: Client,
  service: Service,
  options: ServiceClientOptions,
): ServiceClient<Service> {
  const methods: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(service)) {
    const method = value as AnyMethod;
    if (method.requestStream) methods[name] = (call?: CallOptions) => duplex(grpc, method, options, call ?? {});
    else if (method.responseStream)
      methods[name] = (request?: object, call?: CallOptions) =>
        serverStream(grpc, method, request, options, call ?? {});
    else methods[name] = (request?: object, call?: CallOptions) => unary(grpc, method, request, options, call ?? {});
  }
  return methods as ServiceClient<Service>;
}

function complete(method: AnyMethod, request: object | undefined): object {
  // decoding nothing yields the message with all its defaults
  return Object.assign(method.requestDeserialize(Buffer.alloc(0)), request);
}

function callSetup(
  options: ServiceClientOptions,
  call: CallOptions,
): { metadata: Metadata; grpcOptions: GrpcCallOptions } {
  // waitForReady: while the server is being restarted a call waits for it, up to the deadline, instead of failing
  const metadata = new Metadata({ waitForReady: true });
  if (options.namespace !== '') metadata.set(namespaceHeader, options.namespace);
  const lease = call.lease ?? options.lease;
  if (lease !== undefined) metadata.set(leaseHeader, lease);
  const traceparent = currentTraceparent();
  if (traceparent !== undefined) metadata.set(traceHeader, traceparent);
  const timeoutMs = call.timeoutMs ?? options.timeoutMs;
  return { metadata, grpcOptions: timeoutMs > 0 ? { deadline: Date.now() + timeoutMs } : {} };
}

function fromServiceError(error: ServiceError, method: AnyMethod): BoxshipError {
  if (error.code === status.UNAVAILABLE && !error.details.endsWith('unavailable'))
    return new BoxshipError('unavailable', `containerd does not answer ${method.path}: ${error.details}`, {
      cause: error,
    });
  return fromGrpcStatus({ code: error.code, message: error.details }, { method: method.path });
}

function unary(
  grpc: Client,
  method: AnyMethod,
  request: object | undefined,
  options: ServiceClientOptions,
  call: CallOptions,
): Promise<object> {
  const { promise, resolve, reject } = Promise.withResolvers<object>();
  if (call.signal?.aborted) {
    reject(call.signal.reason);
    return promise;
  }
  const { metadata, grpcOptions } = callSetup(options, call);
  const handle = grpc.makeUnaryRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    complete(method, request),
    metadata,
    grpcOptions,
    (error, response) => {
      call.signal?.removeEventListener('abort', onAbort);
      if (error !== null) reject(call.signal?.aborted ? call.signal.reason : fromServiceError(error, method));
      else resolve(response as object);
    },
  );
  const onAbort = () => handle.cancel();
  call.signal?.addEventListener('abort', onAbort, { once: true });
  return promise;
}

async function* serverStream(
  grpc: Client,
  method: AnyMethod,
  request: object | undefined,
  options: ServiceClientOptions,
  call: CallOptions,
): AsyncGenerator<object> {
  const { metadata, grpcOptions } = callSetup(options, call);
  const stream = grpc.makeServerStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    complete(method, request),
    metadata,
    grpcOptions,
  );
  const onAbort = () => stream.cancel();
  call.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const message of stream) yield message as object;
  } catch (error) {
    throw call.signal?.aborted ? call.signal.reason : fromServiceError(error as ServiceError, method);
  } finally {
    call.signal?.removeEventListener('abort', onAbort);
    stream.cancel();
  }
}

function duplex(
  grpc: Client,
  method: AnyMethod,
  options: ServiceClientOptions,
  call: CallOptions,
): Duplex<object, object> {
  const { metadata, grpcOptions } = callSetup(options, call);
  const stream = grpc.makeBidiStreamRequest(
    method.path,
    method.requestSerialize,
    method.responseDeserialize,
    metadata,
    grpcOptions,
  );
  call.signal?.addEventListener('abort', () => stream.cancel(), { once: true });
  // an error reaches the reader; without a listener it would end the process when nobody reads any more
  stream.on('error', () => {});
  return {
    send: (request) =>
      new Promise((resolve, reject) => {
        stream.write(complete(method, request), (error: Error | null | undefined) => {
          if (error) reject(error);
          else resolve();
        });
      }),
    end: () => stream.end(),
    cancel: () => stream.cancel(),
    async *[Symbol.asyncIterator]() {
      try {
        for await (const message of stream) yield message as object;
      } catch (error) {
        throw call.signal?.aborted ? call.signal.reason : fromServiceError(error as ServiceError, method);
      }
    },
  };
}
