/**
 * Sparse files as GNU tar writes them in PAX archives (formats 0.0, 0.1 and 1.0; GNU tar manual, "Storing Sparse Files").
 * The map says which stretches of the file are stored; everything between them is a hole.
 */
import { malformed } from '../limits.ts';

export interface SparseFragment {
  readonly offset: number;
  readonly length: number;
}

/** @throws invalidArgument unless the stretches are in order, apart and inside the file */
export function checkSparseMap(map: readonly SparseFragment[], realSize: number): void {
  let end = 0;
  for (const { offset, length } of map) {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < end || length < 0)
      throw malformed('invalid sparse map');
    end = offset + length;
  }
  if (end > realSize) throw malformed('invalid sparse map: it exceeds the file');
}

/** Formats 0.0 and 0.1: a list of numbers. */
export function parseSparseList(numbers: readonly string[]): SparseFragment[] {
  if (numbers.length % 2 !== 0) throw malformed('invalid sparse map: odd number of values');
  const map: SparseFragment[] = [];
  for (let i = 0; i < numbers.length; i += 2)
    map.push({ offset: decimal(numbers[i]), length: decimal(numbers[i + 1]) });
  return map;
}

export function decimal(text: string | undefined): number {
  if (text === undefined || !/^[0-9]{1,16}$/.test(text)) throw malformed('invalid sparse map: bad number');
  return Number(text);
}

/** Format 1.0 puts the map in front of the data: count, then pairs, one number a line, padded to a block. */
export class SparseMapReader {
  readonly #numbers: number[] = [];
  #digits = '';

  /** Reads one block; the map once it is complete. @throws invalidArgument */
  push(block: Buffer): SparseFragment[] | undefined {
    for (const byte of block) {
      if (byte !== 0x0a) {
        this.#digits += String.fromCharCode(byte);
        if (this.#digits.length > 20) throw malformed('invalid sparse map: bad number');
        continue;
      }
      this.#numbers.push(decimal(this.#digits));
      this.#digits = '';
      const count = this.#numbers[0] as number;
      if (count > 1_000_000) throw malformed('invalid sparse map: too many stretches');
      if (this.#numbers.length === 1 + count * 2) {
        const map: SparseFragment[] = [];
        for (let i = 1; i < this.#numbers.length; i += 2)
          map.push({ offset: this.#numbers[i] as number, length: this.#numbers[i + 1] as number });
        return map;
      }
    }
    return undefined;
  }
}
