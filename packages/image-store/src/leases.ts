/**
 * The contract of leases as pull and unpack use it: a lease protects what is created under it until an image record makes
 * it reachable. Its id travels in the options of writers and snapshots.
 *
 * Example
 *   await using lease = await holdLease(leases, { expiresAt: new Date(Date.now() + 3_600_000) });
 *   await store.writer({ ref, lease: lease.id });
 */
export interface Lease {
  readonly id: string;
  readonly createdAt: Date;
  readonly labels: Readonly<Record<string, string>>;
}

export interface LeaseOptions {
  /** Default: a random one. */
  readonly id?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Becomes the label `containerd.io/gc.expire`; protects against a holder that dies. */
  readonly expiresAt?: Date;
}

export interface LeaseManager {
  /** @throws alreadyExists */
  create(options?: LeaseOptions): Promise<Lease>;
  /** @throws notFound */
  delete(id: string, options?: { readonly isSynchronous?: boolean }): Promise<void>;
}

/** A lease that ends with the scope. */
export async function holdLease(leases: LeaseManager, options: LeaseOptions = {}): Promise<Lease & AsyncDisposable> {
  const lease = await leases.create(options);
  return { ...lease, [Symbol.asyncDispose]: () => leases.delete(lease.id) };
}

/** For stores without garbage collection: leases of which nobody takes notice. */
export const noLeases: LeaseManager = {
  create: (options = {}) =>
    Promise.resolve({ id: options.id ?? '', createdAt: new Date(), labels: options.labels ?? {} }),
  delete: () => Promise.resolve(),
};
