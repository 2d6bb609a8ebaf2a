/**
 * Many writes with one system call: io_setup(2), io_submit(2), io_getevents(2). They were made for direct I/O; what goes through the page
 * cache is written before io_submit returns. So it saves the way into the kernel and back for each write, which for a small one
 * takes as long as the writing.
 */
import { constants } from 'node:os';
import { addressOf, check, declare, lastErrno } from './libc.ts';

const { errno } = constants;

/** The C library has no such functions. Numbers of the architectures that share the layout below: 64 bits, low byte first. */
const generic = { setup: 0, submit: 2, events: 4 };
const numbers = ({ x64: { setup: 206, submit: 209, events: 208 }, arm64: generic, riscv64: generic } as const)[
  process.arch as string
];

const ioSetup = declare('int64_t syscall(int64_t number, int64_t capacity, void *queue)');
const ioSubmit = declare('int64_t syscall(int64_t number, uint64_t queue, int64_t count, const void *requests)');
const ioEvents = declare(
  'int64_t syscall(int64_t number, uint64_t queue, int64_t least, int64_t most, void *events, void *timeout)',
);

const capacity = 256;
/** Not compiled in, forbidden, or fs.aio-max-nr is reached. */
const unavailable = new Set([errno.ENOSYS, errno.EPERM, errno.EACCES, errno.EAGAIN, errno.ENOMEM]);

/**
 * A queue of the kernel's, which belongs to the process and ends with it: to end it before takes the kernel 30 ms. One thread at a
 * time uses it, through {@link QueuedWrites}. Undefined when the kernel gives none.
 */
export function openWriteQueue(): bigint | undefined {
  if (numbers === undefined) return undefined;
  const queue = Buffer.alloc(8);
  const result = Number(ioSetup(numbers.setup, capacity, queue));
  if (result < 0 && unavailable.has(lastErrno())) return undefined;
  check(result, 'io_setup');
  return queue.readBigUInt64LE();
}

export interface FileWrite {
  readonly fd: number;
  /** In the memory. */
  readonly from: number;
  readonly length: number;
  /** In the file. */
  readonly position: number;
}

const requestBytes = 64; // struct iocb
const eventBytes = 32; // struct io_event
const IOCB_CMD_PWRITE = 1;

export class QueuedWrites {
  readonly #queue: bigint;
  readonly #memory: SharedArrayBuffer;
  readonly #address: number;
  readonly #requests = new Uint32Array((capacity * requestBytes) / 4);
  readonly #pointers = Buffer.alloc(capacity * 8);
  readonly #events = Buffer.alloc(capacity * eventBytes);

  /** @param memory where the bytes lie */
  constructor(queue: bigint, memory: SharedArrayBuffer) {
    this.#queue = queue;
    this.#memory = memory;
    this.#address = Number(addressOf(Buffer.from(this.#memory)));
    const requests = addressOf(Buffer.from(this.#requests.buffer));
    for (let at = 0; at < capacity; at++) this.#pointers.writeBigUInt64LE(requests + BigInt(at * requestBytes), at * 8);
    this.#take(0, () => {}); // of a thread that was ended before it has seen them
  }

  /** @returns how many bytes of each are written: fewer than asked for when it failed, or was not tried. Only an ordinary write says why. */
  write(writes: readonly FileWrite[]): Int32Array {
    const written = new Int32Array(writes.length);
    for (let next = 0; next < writes.length; ) {
      let count = 0;
      for (; next < writes.length && count < capacity; next++) {
        const { length } = writes[next] as FileWrite;
        if (length > 0) this.#put(count++, next, writes[next] as FileWrite);
      }
      const submitted = this.#submit(count);
      this.#take(submitted, (index, result) => {
        written[index] = Math.max(0, result);
      });
      if (submitted < count) break;
    }
    return written;
  }

  #put(at: number, index: number, { fd, from, length, position }: FileWrite): void {
    const words = this.#requests;
    const first = (at * requestBytes) / 4;
    words[first] = index;
    words[first + 4] = IOCB_CMD_PWRITE;
    words[first + 5] = fd;
    putLong(words, first + 6, this.#address + from);
    putLong(words, first + 8, length);
    putLong(words, first + 10, position);
  }

  /** How many of the first `count` requests the kernel has taken: all before the first that it refuses. */
  #submit(count: number): number {
    let submitted = 0;
    while (submitted < count) {
      const rest = this.#pointers.subarray(submitted * 8);
      const result = Number(ioSubmit(numbers?.submit, this.#queue, count - submitted, rest));
      if (result <= 0) break;
      submitted += result;
    }
    return submitted;
  }

  /** Waits for so many results. */
  #take(count: number, each: (index: number, result: number) => void): void {
    let left = count;
    do {
      const taken = Number(ioEvents(numbers?.events, this.#queue, left, capacity, this.#events, null));
      if (taken < 0 && lastErrno() !== errno.EINTR) check(taken, 'io_getevents');
      for (let at = 0; at < taken * eventBytes; at += eventBytes)
        each(this.#events.readInt32LE(at), this.#events.readInt32LE(at + 16)); // no write is larger than 2 GiB
      left -= Math.max(0, taken);
    } while (left > 0);
  }
}

function putLong(words: Uint32Array, at: number, value: number): void {
  words[at] = value % 2 ** 32;
  words[at + 1] = Math.floor(value / 2 ** 32);
}
