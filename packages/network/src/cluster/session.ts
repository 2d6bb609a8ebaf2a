/**
 * The connection of an engine to its cluster, kept for as long as the engine lives: a lease, a listing, a watch from there on.
 * Whatever ends it (the store away, the lease or the history gone) begins it anew; each beginning brings both sides together.
 */
import { BoxshipError, type Logger, sleep } from '@boxship/base';
import type { ClusterStore, Listing, StoreEvent } from './store.ts';

export interface SessionOptions {
  readonly store: ClusterStore;
  readonly heartbeatSeconds: number;
  readonly ttlSeconds: number;
  readonly log: Logger;
  /** The store was reached: its content, and the lease to write under. */
  readonly onBegin: (listing: Listing, lease: bigint) => Promise<void>;
  readonly onEvents: (events: readonly StoreEvent[]) => void;
}

const firstPauseMs = 100;
const longestPauseMs = 2000;

const awayText = 'cluster store is away: containers go on, changes wait';
// what is known of other hosts is kept in memory alone
const neverThereText = `${awayText}; containers of other hosts are unknown by name until it is back`;

export class ClusterSession implements AsyncDisposable {
  readonly #options: SessionOptions;
  readonly #end = new AbortController();
  readonly #running: Promise<void>;
  readonly #first = Promise.withResolvers<void>();
  #lease: bigint | undefined;
  #isConnected = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** The lease of this engine while it is connected. */
  get lease(): bigint | undefined {
    return this.#isConnected ? this.#lease : undefined;
  }

  /** Resolves when the first try to reach the store has come to an end. */
  get tried(): Promise<void> {
    return this.#first.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort(new BoxshipError('cancelled', 'the controller ends'));
    await this.#running;
  }

  async #run(): Promise<void> {
    const { store, log } = this.#options;
    const { signal } = this.#end;
    let pauseMs = firstPauseMs;
    let isAway = false;
    let wasThere = false;
    while (!signal.aborted) {
      try {
        await this.#once(() => {
          if (isAway) log.info('cluster store is back', { store: store.name });
          isAway = false;
          wasThere = true;
          pauseMs = firstPauseMs;
        });
      } catch (error) {
        if (signal.aborted) break;
        if (!isAway) log.warn(wasThere ? awayText : neverThereText, { store: store.name, error });
        isAway = true;
      }
      this.#isConnected = false;
      this.#first.resolve();
      await sleep(pauseMs, signal).catch(() => {}); // the loop sees the end itself
      pauseMs = Math.min(longestPauseMs, pauseMs * 2);
    }
    this.#isConnected = false;
    this.#first.resolve();
  }

  /** Ends by throwing. */
  async #once(onConnected: () => void): Promise<void> {
    const { store, ttlSeconds, heartbeatSeconds, onBegin, onEvents } = this.#options;
    if (this.#lease === undefined || !(await store.keepLease(this.#lease)))
      this.#lease = await store.grantLease(ttlSeconds);
    const listing = await store.list('');
    this.#isConnected = true;
    await onBegin(listing, this.#lease);
    onConnected();
    this.#first.resolve();
    const heart = new AbortController();
    const signal = AbortSignal.any([heart.signal, this.#end.signal]);
    const beats = this.#beat(this.#lease, heartbeatSeconds * 1000, signal).catch((error: unknown) =>
      heart.abort(error),
    );
    try {
      await store.watch(listing.revision, onEvents, signal);
    } finally {
      heart.abort(new BoxshipError('cancelled', 'the watch ended'));
      await beats;
    }
  }

  async #beat(lease: bigint, everyMs: number, signal: AbortSignal): Promise<void> {
    const { store } = this.#options;
    for (;;) {
      await sleep(everyMs, signal);
      if (await store.keepLease(lease)) continue;
      this.#lease = undefined;
      throw new BoxshipError('unavailable', `${store.name}: the lease of this engine has ended`);
    }
  }
}
