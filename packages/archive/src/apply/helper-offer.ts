/** A thread that writes contents, as the thread that starts it sees it: the lines to it are there from the start, the thread when it pays. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import type { SharedSlots } from '../expand/slots.ts';
import { WorkerJob } from '../worker-pool.ts';
import type { HelperLine } from '../worker-protocol.ts';
import { type BorrowedQueue, borrowWriteQueue } from './write-queue-pool.ts';

export class HelperOffer implements AsyncDisposable {
  readonly #slots: SharedSlots;
  readonly #work = new MessageChannel();
  readonly #freed = new MessageChannel();
  readonly #waiting = new Int32Array(new SharedArrayBuffer(4)).fill(-1);
  #job: WorkerJob | undefined;
  #queue: BorrowedQueue | undefined;

  /** @param slots where the contents lie */
  constructor(slots: SharedSlots) {
    this.#slots = slots;
  }

  /** For the thread that makes files; its port is to be transferred. */
  get line(): HelperLine {
    return { port: this.#work.port1, waiting: this.#waiting };
  }

  /** For the thread that expands, to be transferred: slots that are free again. */
  get freed(): MessagePort {
    return this.#freed.port1;
  }

  /** Waits for a turn. @throws the signal's reason */
  async start(signal: AbortSignal | undefined): Promise<WorkerJob> {
    const job = await WorkerJob.open('contents', signal);
    const [work, freed] = [this.#work.port2, this.#freed.port2];
    const from = { port: work, waiting: this.#waiting };
    this.#job = job;
    this.#queue = borrowWriteQueue();
    job.send({ kind: 'contents', slots: this.#slots, queue: this.#queue.queue, from, freed }, [work, freed]);
    return job;
  }

  /** After the other two threads have ended their jobs: it closes what they have opened. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { port2 } of [this.#work, this.#freed]) port2.close(); // nothing happens to ports that have gone to a helper
    await this.#job?.[Symbol.asyncDispose]();
    this.#queue?.[Symbol.dispose]();
  }
}
