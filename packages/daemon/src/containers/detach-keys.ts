/** Detach keys: a byte sequence in a terminal's input that means "leave me". Broken beginnings are handed on late. */
import { BoxshipError } from '@boxship/base';

export const defaultDetachKeys = 'ctrl-p,ctrl-q';

/** @throws invalidArgument */
export function parseDetachKeys(text: string): Buffer {
  const bytes = text.split(',').map((key) => {
    if (key.length === 1) return key.charCodeAt(0);
    const [, letter] = /^ctrl-([a-z@[\\\]^_])$/i.exec(key) ?? [];
    if (letter === undefined) throw new BoxshipError('invalidArgument', `Invalid escape keys (${text}) provided`);
    return letter.toUpperCase().charCodeAt(0) & 0x1f;
  });
  return Buffer.from(bytes);
}

export class DetachScanner {
  readonly #keys: Buffer;
  #matched = 0;

  constructor(keys: Buffer) {
    this.#keys = keys;
  }

  /** What is to be handed on, and whether the sequence was completed (the rest of the chunk is dropped then). */
  push(chunk: Buffer): { readonly bytes: Buffer; readonly isDetached: boolean } {
    if (this.#keys.length === 0) return { bytes: chunk, isDetached: false };
    const out: number[] = [];
    for (const byte of chunk) {
      if (byte === this.#keys[this.#matched]) {
        this.#matched++;
        if (this.#matched === this.#keys.length) return { bytes: Buffer.from(out), isDetached: true };
        continue;
      }
      out.push(...this.#keys.subarray(0, this.#matched));
      this.#matched = byte === this.#keys[0] ? 1 : 0;
      if (this.#matched === 0) out.push(byte);
    }
    return { bytes: Buffer.from(out), isDetached: false };
  }
}
