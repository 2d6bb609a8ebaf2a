/** Those who wait for a container: for the next exit, for not running, for removal. Each gets one result. */
export interface ExitResult {
  readonly exitCode: number;
  readonly error?: string;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

type Listener = (result: ExitResult) => void;

export class Waiters {
  readonly #exit = new Set<Listener>();
  readonly #removed = new Set<Listener>();

  /** Resolves at the event; rejects with the signal's reason. */
  wait(condition: 'exit' | 'removed', signal?: AbortSignal): Promise<ExitResult> {
    const set = condition === 'exit' ? this.#exit : this.#removed;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const listener: Listener = (result) => {
        signal?.removeEventListener('abort', onAbort);
        resolve(result);
      };
      const onAbort = () => {
        set.delete(listener);
        reject(signal?.reason);
      };
      set.add(listener);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  exited(result: ExitResult): void {
    fire(this.#exit, result);
  }

  removed(result: ExitResult): void {
    fire(this.#exit, result);
    fire(this.#removed, result);
  }
}

function fire(set: Set<Listener>, result: ExitResult): void {
  const listeners = [...set];
  set.clear();
  for (const listener of listeners) listener(result);
}
