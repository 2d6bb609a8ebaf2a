/** Metadata keys of containerd's APIs. */
export const namespaceHeader = 'containerd-namespace';
export const leaseHeader = 'containerd-lease';
/** The namespace of an event that a shim forwards over ttrpc. */
export const ttrpcNamespaceKey = 'containerd-namespace-ttrpc';
/** W3C trace context. */
export const traceHeader = 'traceparent';
