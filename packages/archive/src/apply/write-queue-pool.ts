/** Queues of the kernel's for threads that write contents. There are no more than such threads at once; they end with the process. */
import { openWriteQueue } from '@boxship/linux';

const kept: bigint[] = [];

export interface BorrowedQueue extends Disposable {
  /** Undefined when the kernel gives none: then each write is a call. */
  readonly queue: bigint | undefined;
}

/** Disposal gives it back: no thread may use it any more. */
export function borrowWriteQueue(): BorrowedQueue {
  const queue = kept.pop() ?? openWriteQueue();
  return {
    queue,
    [Symbol.dispose]: () => {
      if (queue !== undefined) kept.push(queue);
    },
  };
}
