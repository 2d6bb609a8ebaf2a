/** One queue per object: operations on one key run one after the other, operations on different keys never meet. */
export class KeyedMutex {
  readonly #tails = new Map<string, Promise<void>>();

  /** Waits for the key's turn. The lease ends the turn: `using lease = await mutex.acquire(id)`. */
  async acquire(key: string): Promise<Disposable> {
    const before = this.#tails.get(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#tails.set(key, promise);
    await before;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (!isHeld) return;
        isHeld = false;
        if (this.#tails.get(key) === promise) this.#tails.delete(key);
        resolve();
      },
    };
  }

  /** Waits until every turn that is taken or waited for by now has ended. */
  async idle(): Promise<void> {
    await Promise.all(this.#tails.values());
  }

  /** Runs `work` in the key's turn. */
  async run<T>(key: string, work: () => Promise<T> | T): Promise<T> {
    using _lease = await this.acquire(key);
    return await work();
  }
}
