/**
 * Stands in for grpc-js in the bundles: the shim speaks ttrpc, but the generated code declares gRPC clients beside its
 * messages. Loading the real library would cost 9 MB and 30 ms per process.
 */
export class Client {}
export class Metadata {}

/** The generated client classes are made at load time and never used here. */
export function makeGenericClientConstructor(): typeof Client {
  return Client;
}
