/**
 * Pieces of work of which the event loop does one per turn: between two of them it looks at what else has happened. Work of a
 * millisecond for each of fifty at a time would otherwise keep it from that for fifty.
 */
export class OnePerTurn {
  readonly #waiting: (() => void)[] = [];

  add(work: () => void): void {
    this.#waiting.push(work);
    if (this.#waiting.length === 1) setImmediate(() => this.#next());
  }

  #next(): void {
    const work = this.#waiting[0];
    try {
      work?.();
    } finally {
      this.#waiting.shift();
      if (this.#waiting.length > 0) setImmediate(() => this.#next());
    }
  }
}
