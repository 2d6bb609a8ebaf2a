/**
 * Who may import whom, as data for the architecture test: a package depends only on packages of strictly lower rows, and
 * never on the other side of a seam that it speaks to by a wire. docs/architecture.md shows the same table to readers.
 */
export const rows: Readonly<Record<string, number>> = {
  engine: 7, // composition, supervisor, interop tests
  daemon: 6, // Engine API server
  containerd: 4, // gRPC server
  'containerd-client': 4, // gRPC client
  'image-store': 3, // stores, registry client
  shim: 3, // ttrpc server
  cli: 3, // HTTP client
  archive: 2, // layers
  'runc-wrapper': 2, // OCI runtime
  network: 2, // container network model
  'engine-api': 2, // REST schemas and typed client
  linux: 1, // kernel calls
  api: 1, // generated code
  ttrpc: 1, // framing
  'go-template': 1, // --format
  oci: 1, // vocabulary of images and bundles
  base: 0, // imports none of ours
};

/** Seams: these are reached by a wire and never by an import, whatever the rows would allow. */
export const seams: Readonly<Record<string, readonly string[]>> = {
  daemon: ['containerd', 'shim', 'runc-wrapper', 'ttrpc', 'cli'],
  containerd: ['shim', 'runc-wrapper', 'network', 'engine-api'],
  'containerd-client': ['shim', 'runc-wrapper', 'ttrpc'],
  cli: ['linux', 'api', 'network', 'archive'],
  shim: ['network', 'image-store', 'engine-api'],
};

/** The one package that is part of no product. */
export const workshop = 'tooling';

/** What tests of any package may import by path: they start real daemons with it. */
export const testTools: readonly string[] = ['/packages/tooling/', '/packages/engine/test/harness/'];
