/**
 * The gRPC edge of the server: turns plain handlers into grpc-js handlers, metadata into a {@link CallContext}, thrown
 * errors into status codes. Nothing behind this file knows gRPC; the in-process client calls the same handlers.
 */
import {
  type CallContext,
  leaseHeader,
  type MethodDefinition,
  namespaceHeader,
  type ServiceHandlers,
  traceHeader,
} from '@boxship/api';
import { BoxshipError, checkIdentifier, parseTraceparent, toGrpcStatus, withSpan } from '@boxship/base';
import {
  type handleBidiStreamingCall,
  type handleServerStreamingCall,
  type handleUnaryCall,
  Metadata,
  type Server,
  type ServerErrorResponse,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

type AnyMethod = MethodDefinition<unknown, unknown>;

interface Call {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** Registers the handlers of one service. */
export function serve<Service extends object>(
  server: Server,
  service: Service,
  handlers: ServiceHandlers<Service>,
): void {
  const implementation: UntypedServiceImplementation = {};
  for (const [name, value] of Object.entries(service)) {
    const method = value as AnyMethod;
    const handler = (handlers as Record<string, unknown>)[name];
    implementation[name] = method.requestStream
      ? bidirectional(
          method,
          handler as (requests: AsyncIterable<unknown>, context: CallContext) => AsyncIterable<unknown>,
        )
      : method.responseStream
        ? serverStream(method, handler as (request: unknown, context: CallContext) => AsyncIterable<unknown>)
        : unary(method, handler as (request: unknown, context: CallContext) => Promise<unknown>);
  }
  server.addService(service as unknown as ServiceDefinition, implementation);
}

/** The context of a call made in `namespace`; `undefined` or malformed names are refused when a handler asks for it. */
export function callContext(options: {
  namespace: string | undefined;
  lease: string | undefined;
  signal: AbortSignal;
  remainingMs: number | undefined;
}): CallContext {
  return {
    get namespace() {
      return checkNamespace(options.namespace);
    },
    lease: options.lease,
    signal: options.signal,
    remainingMs: options.remainingMs,
  };
}

export function checkNamespace(name: string | undefined): string {
  if (name === undefined || name === '') throw new BoxshipError('failedPrecondition', 'namespace is required');
  try {
    return checkIdentifier(name);
  } catch (error) {
    throw new BoxshipError('invalidArgument', `namespace validation: ${(error as Error).message}`, { cause: error });
  }
}

function contextOf(call: Call): CallContext {
  const controller = new AbortController();
  if (call.cancelled) controller.abort(new BoxshipError('cancelled', 'the client went away'));
  else call.on('cancelled', () => controller.abort(new BoxshipError('cancelled', 'the client went away')));
  const deadline = Number(call.getDeadline());
  return callContext({
    namespace: text(call.metadata, namespaceHeader),
    lease: text(call.metadata, leaseHeader),
    signal: controller.signal,
    remainingMs: Number.isFinite(deadline) ? Math.max(1, deadline - Date.now()) : undefined,
  });
}

function text(metadata: Metadata, key: string): string | undefined {
  const value = metadata.get(key)[0];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function span<T>(call: Call, method: AnyMethod, work: () => Promise<T>): Promise<T> {
  const parent = parseTraceparent(text(call.metadata, traceHeader));
  return withSpan({ component: 'containerd', name: method.path, parent }, work);
}

function statusOf(error: unknown): ServerErrorResponse {
  const { code, message } = toGrpcStatus(error);
  return Object.assign(new Error(message), { code, details: message, metadata: new Metadata() });
}

function unary(
  method: AnyMethod,
  handler: (request: unknown, context: CallContext) => Promise<unknown>,
): handleUnaryCall<unknown, unknown> {
  return (call, callback) => {
    span(call, method, async () => handler(call.request, contextOf(call))).then(
      (response) => callback(null, response),
      (error: unknown) => callback(statusOf(error)),
    );
  };
}

interface Writable {
  write(message: unknown): boolean;
  end(): unknown;
  emit(event: 'error', error: ServerErrorResponse): unknown;
  once(event: 'drain' | 'cancelled', listener: () => void): unknown;
  readonly cancelled: boolean;
}

async function pump(stream: Writable, messages: AsyncIterable<unknown>): Promise<void> {
  for await (const message of messages) {
    if (stream.cancelled) return;
    if (!stream.write(message)) {
      await new Promise<void>((resolve) => {
        stream.once('drain', resolve);
        stream.once('cancelled', resolve);
      });
    }
  }
}

function finish(stream: Writable, work: Promise<void>): void {
  work.then(
    () => stream.end(),
    (error: unknown) => {
      if (!stream.cancelled) stream.emit('error', statusOf(error));
    },
  );
}

function serverStream(
  method: AnyMethod,
  handler: (request: unknown, context: CallContext) => AsyncIterable<unknown>,
): handleServerStreamingCall<unknown, unknown> {
  return (call) =>
    finish(
      call,
      span(call, method, () => pump(call, handler(call.request, contextOf(call)))),
    );
}

function bidirectional(
  method: AnyMethod,
  handler: (requests: AsyncIterable<unknown>, context: CallContext) => AsyncIterable<unknown>,
): handleBidiStreamingCall<unknown, unknown> {
  return (call) =>
    finish(
      call,
      span(call, method, () => pump(call, handler(call.iterator({ destroyOnReturn: false }), contextOf(call)))),
    );
}
