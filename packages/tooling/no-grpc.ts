/**
 * Stands in for grpc-js in programs that speak only ttrpc: the generated modules define a gRPC client class beside each
 * service, which such a program never builds. Without this a shim would carry 9 MB of memory for nothing.
 */
export function makeGenericClientConstructor(): unknown {
  return class {
    constructor() {
      throw new Error('this program has no gRPC client');
    }
  };
}
