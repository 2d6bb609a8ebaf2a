/**
 * The contract of the store in which the engines of a cluster meet: keys with texts, changed by transactions that name what they
 * rest on, watched from a revision on, and keys that end with the lease of the engine that wrote them. Nothing above it knows
 * which program keeps it. Every call ends within seconds, and fails with `unavailable` and the store's name when it is away.
 */

export type Condition =
  | { readonly kind: 'absent' | 'present'; readonly key: string }
  | { readonly kind: 'value'; readonly key: string; readonly value: string }
  /** Nothing under the prefix was written after the revision. */
  | { readonly kind: 'unchanged'; readonly prefix: string; readonly since: bigint }
  | { readonly kind: 'empty'; readonly prefix: string };

export type Change =
  | { readonly kind: 'put'; readonly key: string; readonly value: string; readonly lease?: bigint }
  | { readonly kind: 'delete'; readonly key: string }
  | { readonly kind: 'deleteAll'; readonly prefix: string };

/** What became of a key: its text, or undefined when it is gone. */
export interface StoreEvent {
  readonly key: string;
  readonly value: string | undefined;
}

export interface Listing {
  /** Of the whole store: a watch from here on misses nothing. */
  readonly revision: bigint;
  readonly entries: ReadonlyMap<string, string>;
}

export interface ClusterStore extends Disposable {
  /** For messages: which store, and where. */
  readonly name: string;
  list(prefix: string): Promise<Listing>;
  /** Makes all changes if all conditions hold, else none. */
  commit(conditions: readonly Condition[], changes: readonly Change[]): Promise<boolean>;
  grantLease(ttlSeconds: number): Promise<bigint>;
  /** False: it has ended, and its keys with it. */
  keepLease(lease: bigint): Promise<boolean>;
  /**
   * Gives what happens to every key after the revision, in the order in which it happened, a transaction at a time.
   * @throws always, in the end: the signal's reason, or `unavailable`; `outOfRange` when the history since is gone, and a new
   * listing is needed
   */
  watch(since: bigint, onEvents: (events: readonly StoreEvent[]) => void, signal: AbortSignal): Promise<never>;
}
