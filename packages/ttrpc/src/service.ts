/**
 * How a service is described: a table of methods with their codecs. Service objects that ts-proto generates for grpc-js
 * have this shape, so one description serves both transports.
 *
 * @example
 *   serve(TaskService, { async state(request) { return … } })     // server
 *   const task = client.service(TaskService); await task.state({ id: 'c1', execId: '' })
 */
import type { Metadata } from './envelope.ts';

export interface MethodDefinition<Request, Response> {
  /** `/package.Service/Method` */
  readonly path: string;
  readonly requestSerialize: (value: Request) => Uint8Array;
  // Buffer, as the generated code declares it
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

/** A method of which nothing is known but that it is one. */
export interface AnyMethod {
  readonly path: string;
  readonly requestSerialize: (value: never) => Uint8Array;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (value: never) => Uint8Array;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

export type ServiceDefinition = Readonly<Record<string, AnyMethod>>;

/** The caller's side of one call. */
export interface CallContext {
  readonly metadata: Metadata;
  /** Fires at the caller's deadline and when the connection ends. */
  readonly signal: AbortSignal;
}

type RequestOf<M> = M extends { readonly requestDeserialize: (bytes: Buffer) => infer R } ? R : never;
type ResponseOf<M> = M extends { readonly responseDeserialize: (bytes: Buffer) => infer R } ? R : never;

/** What a server gives for a service: one function per method. */
export type ServiceHandlers<S> = {
  readonly [K in keyof S]: (request: RequestOf<S[K]>, context: CallContext) => Promise<ResponseOf<S[K]>>;
};

export interface CallOptions {
  readonly metadata?: Metadata;
  /** Milliseconds until the call ends with `deadlineExceeded`; the server is told. None: the call may take for ever. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What a client has of a service. */
export type ServiceClient<S> = {
  readonly [K in keyof S]: (request: RequestOf<S[K]>, options?: CallOptions) => Promise<ResponseOf<S[K]>>;
};

/** `/package.Service/Method` as its two parts. */
export function splitPath(path: string): { readonly service: string; readonly method: string } {
  const [, service = '', method = ''] = path.split('/');
  return { service, method };
}
