/**
 * Makes files of one directory, one right after the other. Where the kernel keeps its page tables apart from the program's, each system
 * call makes the processor forget where pages lie, unless it can tell address spaces apart: what a program touches between two
 * calls is looked up anew. So names are prepared before, and between two calls next to nothing is touched; a file takes 2 µs of 14 less.
 */
import { constants } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { addressOf, declare, lastErrno } from './libc.ts';
import { O_CLOEXEC } from './open-in-root.ts';

const openat = declare('int openat(int dirfd, uintptr_t path, int flags, uint32_t mode)');
const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW | O_CLOEXEC;

const capacity = 256;
const nameBytes = 256; // NAME_MAX with its terminator

export class FileMaker {
  readonly #names = Buffer.alloc(capacity * nameBytes);
  readonly #address = Number(addressOf(this.#names));
  readonly #modes = new Uint32Array(capacity);
  readonly #results = new Int32Array(capacity);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  get isFull(): boolean {
    return this.#count === capacity;
  }

  /** Whether a name is as short as the kernel wants it. */
  static takes(name: string): boolean {
    return name.length < nameBytes;
  }

  /** @param name a character for each byte */
  add(name: string, mode: number): void {
    if (this.isFull || !FileMaker.takes(name))
      throw new BoxshipError('internal', 'no room for another file to be made');
    if (name.includes('\0')) throw new BoxshipError('invalidArgument', 'path holds a NUL byte');
    const at = this.#count * nameBytes;
    this.#names[at + this.#names.write(name, at, 'latin1')] = 0;
    this.#modes[this.#count++] = mode;
  }

  /**
   * Makes what was added, for writing, and begins anew.
   * @returns the descriptor of each, valid until the next call; the negative errno of one that cannot be made
   */
  make(directoryFd: number): Int32Array {
    const count = this.#count;
    this.#count = 0;
    for (let index = 0; index < count; index++) {
      const fd = openat(directoryFd, this.#address + index * nameBytes, flags, this.#modes[index]);
      this.#results[index] = fd < 0 ? -lastErrno() : fd;
    }
    return this.#results.subarray(0, count);
  }
}
