/**
 * Fan-out of events to any number of readers. Each reader has a queue of its own: publishing never waits. A reader whose
 * queue grows beyond `maxLag` is ended with an error instead of losing an event silently.
 */
import { BoxshipError } from './errors.ts';

interface Subscriber<T> {
  readonly queue: T[];
  wake: (() => void) | undefined;
  error: BoxshipError | undefined;
  isClosed: boolean;
}

export class Broadcast<T> {
  readonly #subscribers = new Set<Subscriber<T>>();
  readonly #maxLag: number;

  /** @param maxLag events a reader may be behind before it is cut (default 65 536) */
  constructor(maxLag = 65_536) {
    this.#maxLag = maxLag;
  }

  get subscriberCount(): number {
    return this.#subscribers.size;
  }

  publish(event: T): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.queue.length >= this.#maxLag) {
        subscriber.error = new BoxshipError('resourceExhausted', `event reader is ${this.#maxLag} events behind`);
        this.#subscribers.delete(subscriber);
      } else {
        subscriber.queue.push(event);
      }
      subscriber.wake?.();
    }
  }

  /** Every event published from this call on (not from the first read on). Ends when the signal fires. */
  subscribe(signal?: AbortSignal): AsyncIterableIterator<T> {
    const subscriber: Subscriber<T> = { queue: [], wake: undefined, error: undefined, isClosed: false };
    const close = () => {
      subscriber.isClosed = true;
      this.#subscribers.delete(subscriber);
      signal?.removeEventListener('abort', close);
      subscriber.wake?.();
    };
    if (signal?.aborted) subscriber.isClosed = true;
    else {
      this.#subscribers.add(subscriber);
      signal?.addEventListener('abort', close, { once: true });
    }
    const iterator: AsyncIterableIterator<T> = {
      [Symbol.asyncIterator]: () => iterator,
      async next() {
        for (;;) {
          if (subscriber.queue.length > 0) return { done: false, value: subscriber.queue.shift() as T };
          if (subscriber.error !== undefined) throw subscriber.error;
          if (subscriber.isClosed) return { done: true, value: undefined };
          await new Promise<void>((resolve) => {
            subscriber.wake = resolve;
          });
          subscriber.wake = undefined;
        }
      },
      async return() {
        close();
        return { done: true, value: undefined };
      },
    };
    return iterator;
  }
}
