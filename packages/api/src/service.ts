/**
 * The two sides of a generated service as plain types, without a wire: what a client calls and what a server implements.
 * A remote client (gRPC) and an in-process one have the same shape, so code above a seam does not know which it has.
 */

/** What ts-proto generates per method. */
export interface MethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly requestDeserialize: (value: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Buffer;
  readonly responseDeserialize: (value: Buffer) => Response;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Deadline of the whole call in milliseconds; 0 waits without limit (Wait, Subscribe). Default: the client's. */
  readonly timeoutMs?: number;
  /** Everything that the call creates is kept by this lease. */
  readonly lease?: string;
}

/** A two-way stream: send requests, iterate over the answers. */
export interface Duplex<Request, Response> extends AsyncIterable<Response> {
  send(request: Partial<Request>): Promise<void>;
  /** Half close: no more requests. */
  end(): void;
  cancel(): void;
}

/** The calling side of a service: fields left out of a request take their proto3 default. */
export type ServiceClient<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends MethodDefinition<infer Request, infer Response>
    ? Service[Name]['requestStream'] extends true
      ? (options?: CallOptions) => Duplex<Request, Response>
      : Service[Name]['responseStream'] extends true
        ? (request?: Partial<Request>, options?: CallOptions) => AsyncIterable<Response>
        : (request?: Partial<Request>, options?: CallOptions) => Promise<Response>
    : never;
};

/** What a server knows of one call besides the request. */
export interface CallContext {
  /** The caller's namespace. @throws failedPrecondition when the call carries none, invalidArgument when malformed */
  readonly namespace: string;
  /** The lease that keeps what the call creates; undefined: none. */
  readonly lease: string | undefined;
  /** Fires when the caller is gone or its deadline has passed. */
  readonly signal: AbortSignal;
  /** Milliseconds until the caller's deadline; undefined: it waits without limit. */
  readonly remainingMs: number | undefined;
}

/** The implementing side of a service. */
export type ServiceHandlers<Service> = {
  readonly [Name in keyof Service]: Service[Name] extends MethodDefinition<infer Request, infer Response>
    ? Service[Name]['requestStream'] extends true
      ? (requests: AsyncIterable<Request>, context: CallContext) => AsyncIterable<Response>
      : Service[Name]['responseStream'] extends true
        ? (request: Request, context: CallContext) => AsyncIterable<Response>
        : (request: Request, context: CallContext) => Promise<Response>
    : never;
};
