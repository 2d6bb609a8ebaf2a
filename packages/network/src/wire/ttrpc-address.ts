const suffix = '.ttrpc';

/** Where a server of gRPC at `address` serves ttrpc: containerd's convention. */
export const ttrpcAddress = (address: string): string => `${address}${suffix}`;

export const isTtrpcAddress = (address: string): boolean => address.endsWith(suffix);
