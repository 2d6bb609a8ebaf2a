/** The key sequence that leaves a terminal without ending it. Bytes of a broken sequence are passed on. */
import { BoxshipError } from '@boxship/base';

export const defaultDetachKeys = 'ctrl-p,ctrl-q';

/** Bytes of `a,ctrl-b`. @throws invalidArgument */
export function parseDetachKeys(text: string): number[] {
  return text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const letter = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    if (letter === undefined)
      throw new BoxshipError('invalidArgument', `invalid detach keys (${text}): unknown key ${key}`);
    return letter.charCodeAt(0) & 0x1f;
  });
}

/** Watches input for the sequence. */
export class DetachWatch {
  readonly #keys: readonly number[];
  #matched = 0;

  constructor(keys: readonly number[]) {
    this.#keys = keys;
  }

  /** What to pass on of a chunk, and whether the sequence is complete. */
  push(chunk: Buffer): { readonly pass: Buffer; readonly isDetached: boolean } {
    if (this.#keys.length === 0) return { pass: chunk, isDetached: false };
    const pass: number[] = [];
    for (const byte of chunk) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { pass: Buffer.from(pass), isDetached: true };
        continue;
      }
      pass.push(...this.#keys.slice(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) pass.push(byte);
    }
    return { pass: Buffer.from(pass), isDetached: false };
  }
}
