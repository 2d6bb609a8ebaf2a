/** The services of a controller over gRPC: the wire for everybody else. */
import { traceHeader, network as wire } from '@boxship/api';
import { BoxshipError, type Logger, parseTraceparent, toGrpcStatus, withSpan } from '@boxship/base';
import {
  type handleUnaryCall,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import type { NetworkServices } from './services.ts';

/** Trailer with the exact kind of an error: codes of gRPC are fewer. */
export const errorKindTrailer = 'boxship-error-kind';

/** For calls that are under way at the end; being killed is survivable in any case. */
export const graceMs = 2000;

type Handler = (request: never) => Promise<object>;

/** Serves at a unix socket until disposed. */
export async function serveGrpc(services: NetworkServices, path: string, log: Logger): Promise<AsyncDisposable> {
  const answer = (name: string, work: Handler): handleUnaryCall<object, object> => {
    return (call, callback) => {
      const parent = parseTraceparent(call.metadata.get(traceHeader)[0]?.toString());
      withSpan({ component: 'network', name, parent }, () => work(call.request as never)).then(
        (response) => callback(null, response),
        (error: unknown) => {
          const { kind } = BoxshipError.from(error);
          if (kind === 'internal') log.error('request failed', { name, error });
          const metadata = new Metadata();
          metadata.set(errorKindTrailer, kind);
          const { code, message } = toGrpcStatus(error);
          callback({ code, details: message, metadata });
        },
      );
    };
  };
  const server = new Server();
  const add = (definition: ServiceDefinition, handlers: Readonly<Record<string, Handler>>): void => {
    const implementation: UntypedServiceImplementation = {};
    for (const [name, { path }] of Object.entries(definition)) {
      const handler = handlers[name];
      if (handler !== undefined) implementation[name] = answer(path.slice(1), handler);
    }
    server.addService(definition, implementation);
  };
  add(wire.NetworksService, { ...services.networks });
  add(wire.SandboxesService, { ...services.sandboxes });
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(`unix:${path}`, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(BoxshipError.from(error)),
    );
  });
  return {
    async [Symbol.asyncDispose]() {
      const { promise, resolve } = Promise.withResolvers<void>();
      server.tryShutdown(() => resolve());
      const timer = setTimeout(() => {
        server.forceShutdown();
        resolve();
      }, graceMs);
      await promise;
      clearTimeout(timer);
    },
  };
}
