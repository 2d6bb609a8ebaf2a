/** One writer per ref: a second one is turned away at once, since it may well be in another process waiting for a download. */
import { refLocked } from './errors.ts';

export class RefLocks {
  readonly #held = new Map<string, Date>();

  /** @throws unavailable */
  acquire(ref: string): Disposable {
    const since = this.#held.get(ref);
    if (since !== undefined) throw refLocked(ref, since);
    const own = new Date();
    this.#held.set(ref, own);
    return {
      [Symbol.dispose]: () => {
        if (this.#held.get(ref) === own) this.#held.delete(ref);
      },
    };
  }
}
