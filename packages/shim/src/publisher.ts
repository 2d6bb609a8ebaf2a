/**
 * Events to containerd, in order, each until it is taken: a containerd that is down gets them when it is back. The queue is
 * bounded; beyond it the oldest are dropped, and that is logged (exit status is in files too, so no truth is lost).
 */
import { type Envelope, encodeAny, eventsTtrpc, nowTimestamp, ttrpcNamespaceKey } from '@boxship/api';
import { atMost, BoxshipError, type Logger, sleep } from '@boxship/base';
import { TtrpcClient } from '@boxship/ttrpc';

const MAX_QUEUE = 2048;
const FORWARD_MS = 5000;
const MAX_PAUSE_MS = 1000;

type Codec<T> = Parameters<typeof encodeAny<T>>[1];

export interface Publisher {
  /** Queues an event: `publish('/tasks/exit', 'containerd.events.TaskExit', TaskExit, {…})`. Never waits, never throws. */
  publish<T>(topic: string, name: string, codec: Codec<T>, value: T): void;
  /** Resolves when the queue is empty, or after `timeoutMs`. */
  flush(timeoutMs: number): Promise<void>;
}

export class TtrpcPublisher implements Publisher {
  readonly #address: string;
  readonly #namespace: string;
  readonly #log: Logger;
  readonly #queue: Envelope[] = [];
  readonly #idleWaiters: (() => void)[] = [];
  #client: TtrpcClient | undefined;
  #isRunning = false;
  #dropped = 0;

  /** @param address containerd's ttrpc socket; empty: nobody listens */
  constructor(address: string, namespace: string, log: Logger) {
    this.#address = address;
    this.#namespace = namespace;
    this.#log = log;
  }

  publish<T>(topic: string, name: string, codec: Codec<T>, value: T): void {
    if (this.#address === '') return;
    const event = encodeAny(name, codec, value);
    this.#queue.push({ timestamp: nowTimestamp(), namespace: this.#namespace, topic, event });
    if (this.#queue.length > MAX_QUEUE) {
      this.#queue.shift();
      if (this.#dropped++ === 0) this.#log.error('event queue is full, the oldest events are dropped');
    }
    if (!this.#isRunning) void this.#run();
  }

  async flush(timeoutMs: number): Promise<void> {
    if (!this.#isRunning) return;
    await atMost(timeoutMs, new Promise<void>((resolve) => this.#idleWaiters.push(resolve)));
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    let failures = 0;
    for (let next = this.#queue[0]; next !== undefined; next = this.#queue[0]) {
      try {
        await this.#forward(next);
        failures = 0;
        this.#taken(next);
      } catch (error) {
        if (!isWorthRetrying(error)) {
          this.#log.error('containerd refuses an event', { error, topic: next.topic });
          this.#taken(next);
          continue;
        }
        if (failures++ === 0) this.#log.warn('containerd does not take events, will try again', { error });
        this.#disconnect();
        await sleep(Math.min(MAX_PAUSE_MS, 50 * 2 ** Math.min(failures, 10)));
      }
    }
    this.#isRunning = false;
    for (const resolve of this.#idleWaiters.splice(0)) resolve();
  }

  /** The queue may have dropped its head meanwhile. */
  #taken(event: Envelope): void {
    if (this.#queue[0] === event) this.#queue.shift();
  }

  async #forward(envelope: Envelope): Promise<void> {
    if (this.#client === undefined || this.#client.isClosed) {
      this.#client = await TtrpcClient.connect(this.#address, {
        metadata: { [ttrpcNamespaceKey]: this.#namespace },
        timeoutMs: FORWARD_MS,
      });
      this.#client.unref();
    }
    await this.#client.service(eventsTtrpc.EventsService).forward({ envelope }, { timeoutMs: FORWARD_MS });
  }

  #disconnect(): void {
    const client = this.#client;
    this.#client = undefined;
    void client?.[Symbol.asyncDispose]();
  }
}

/** Refusals of the message itself will not change; everything about the connection may. */
function isWorthRetrying(error: unknown): boolean {
  return !['invalidArgument', 'unimplemented', 'permissionDenied'].includes(BoxshipError.from(error).kind);
}
