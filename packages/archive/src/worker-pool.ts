/**
 * The archive threads of this process: started when needed, used again, and ended after a while without work. They never
 * keep the process alive by themselves.
 */
import { type Transferable, Worker } from 'node:worker_threads';
import { BoxshipError } from '@boxship/base';
import { type FromWorker, type ToWorker, thrownError } from './worker-protocol.ts';
import { acquireSlot, type JobKind } from './worker-slots.ts';

/** A pull is seldom alone, and a thread's first one takes a tenth longer: its code is still cold. */
const idleMs = 60_000;
const cancelMs = 60_000;
const lastMessages: ReadonlySet<string> = new Set([
  'applied',
  'expanded',
  'written',
  'done',
  'failed',
  'returned',
  'cancelled',
] satisfies FromWorker['kind'][]);

// The worker is the sibling with the extension of this module: .ts from source, .js from a build, .cjs inside a bundle.
const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
const workerUrl = new URL(`./archive-worker${extension}`, import.meta.url);

interface Idle {
  readonly worker: Worker;
  /** What it did last. */
  readonly kind: JobKind;
  readonly timer: NodeJS.Timeout;
}

const idle: Idle[] = [];

/** One job on one worker. Disposal gives the worker back, after cancelling what is not finished. */
export class WorkerJob implements AsyncDisposable {
  readonly #kind: JobKind;
  readonly #worker: Worker;
  readonly #slot: Disposable;
  readonly #inbox: FromWorker[] = [];
  #failure: BoxshipError | undefined;
  #wake: (() => void) | undefined;
  #isFinished = false;
  readonly #onMessage = (message: FromWorker): void => {
    if (lastMessages.has(message.kind)) this.#isFinished = true;
    this.#inbox.push(message);
    this.#wake?.();
  };
  readonly #onError = (error: Error): void => this.#fail(error.message, error);
  readonly #onExit = (code: number): void => this.#fail(`exit code ${code}`);

  constructor(kind: JobKind, worker: Worker, slot: Disposable) {
    this.#kind = kind;
    this.#worker = worker;
    this.#slot = slot;
    worker.ref();
    worker.on('message', this.#onMessage);
    worker.on('error', this.#onError);
    worker.on('exit', this.#onExit);
  }

  /** Waits for a turn. @throws the signal's reason */
  static async open(kind: JobKind, signal?: AbortSignal): Promise<WorkerJob> {
    const slot = await acquireSlot(kind, signal);
    // One that has done the same has its code compiled; -1 is the last one.
    const [free] = idle.splice(
      idle.findLastIndex((one) => one.kind === kind),
      1,
    );
    if (free !== undefined) {
      clearTimeout(free.timer);
      return new WorkerJob(kind, free.worker, slot);
    }
    try {
      // Descriptors come from the C library, so Node.js cannot keep a list of them; jobs close their own.
      return new WorkerJob(kind, new Worker(workerUrl, { name: 'archive', trackUnmanagedFds: false }), slot);
    } catch (error) {
      slot[Symbol.dispose]();
      throw error;
    }
  }

  send(message: ToWorker, transferred: readonly Transferable[] = []): void {
    this.#worker.postMessage(message, transferred);
  }

  /** A message that is there already. @throws as {@link next} */
  poll(): FromWorker | undefined {
    const message = this.#inbox.shift();
    if (message?.kind === 'failed') throw thrownError(message.error);
    if (message === undefined && this.#failure !== undefined) throw this.#failure;
    return message;
  }

  /** The next message. @throws the error of the job, internal when the thread died, the signal's reason */
  async next(signal?: AbortSignal): Promise<FromWorker> {
    for (;;) {
      signal?.throwIfAborted();
      const message = this.poll();
      if (message !== undefined) return message;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const onAbort = (): void => resolve();
      signal?.addEventListener('abort', onAbort, { once: true });
      await promise;
      signal?.removeEventListener('abort', onAbort);
      if (this.#wake === resolve) this.#wake = undefined;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const isUsable = this.#failure === undefined && (this.#isFinished || (await this.#cancel()));
    this.#worker.off('message', this.#onMessage);
    this.#worker.off('error', this.#onError);
    this.#worker.off('exit', this.#onExit);
    this.#slot[Symbol.dispose]();
    if (isUsable) release(this.#kind, this.#worker);
    else await this.#worker.terminate();
  }

  /** Ends the job in the worker; false when the worker is of no use any more. */
  async #cancel(): Promise<boolean> {
    this.send({ kind: 'cancel' });
    const deadline = AbortSignal.timeout(cancelMs);
    for (;;) {
      try {
        // The worker is in a synchronous step at most; its descriptors are closed before it answers.
        if ((await this.next(deadline)).kind === 'cancelled') return true;
      } catch {
        // The job failed by itself meanwhile: its answer to the cancellation is still to come, and must not meet the next job.
        if (this.#failure !== undefined || deadline.aborted) return false;
      }
    }
  }

  #fail(message: string, cause?: unknown): void {
    this.#failure = new BoxshipError('internal', `archive worker died: ${message}`, { cause });
    this.#wake?.();
  }
}

function release(kind: JobKind, worker: Worker): void {
  worker.unref();
  const timer = setTimeout(() => {
    const at = idle.findIndex((entry) => entry.worker === worker);
    if (at >= 0) idle.splice(at, 1);
    void worker.terminate();
  }, idleMs);
  timer.unref();
  idle.push({ worker, kind, timer });
}
