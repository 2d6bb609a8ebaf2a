/** gRPC as a {@link Transport}. Connects lazily. */
import { traceHeader } from '@boxship/api';
import { BoxshipError, currentTraceparent, fromGrpcStatus, isErrorKind } from '@boxship/base';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { errorKindTrailer } from './grpc-server.ts';
import { type Method, type Transport, transportDetails } from './transport.ts';

export class GrpcTransport implements Transport {
  readonly #address: string;
  readonly #client: Client;

  /** @param address path of the unix socket */
  constructor(address: string) {
    this.#address = address;
    this.#client = new Client(`unix:${address}`, credentials.createInsecure(), {
      'grpc.initial_reconnect_backoff_ms': 50,
      'grpc.min_reconnect_backoff_ms': 50,
      'grpc.max_reconnect_backoff_ms': 250,
      'grpc.enable_http_proxy': 0,
    });
  }

  call<Request, Response>(method: Method<Request, Response>, request: Request, timeoutMs: number): Promise<Response> {
    return new Promise<Response>((resolve, reject) => {
      const metadata = new Metadata({ waitForReady: true });
      const traceparent = currentTraceparent();
      if (traceparent !== undefined) metadata.set(traceHeader, traceparent);
      this.#client.makeUnaryRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
        request,
        metadata,
        { deadline: Date.now() + timeoutMs },
        (error, response) => {
          if (error === null) resolve(response as Response);
          else reject(errorOf(error, this.#address));
        },
      );
    });
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

/** With the trailer: the server's own error. Without: the transport's. */
function errorOf(error: ServiceError, address: string): BoxshipError {
  const kind = error.metadata?.get(errorKindTrailer)[0]?.toString() ?? '';
  const received = fromGrpcStatus({ code: error.code, message: error.details });
  if (isErrorKind(kind)) return new BoxshipError(kind, received.message);
  return new BoxshipError(received.kind, `network controller at ${address}: ${received.message}`, {
    details: transportDetails,
  });
}
