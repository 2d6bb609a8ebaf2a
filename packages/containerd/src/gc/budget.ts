/**
 * The budget of the stores: when blobs and layers take more than was allowed, a collection is run at once, and if what is left
 * is in use, that is said. Nothing that an image, a container or a lease refers to is ever taken away for it.
 */
import type { Logger } from '@boxship/base';
import type { CollectorOptions } from './collector.ts';

const checkMs = 1_000;

export interface StoreUsage {
  /** Bytes on the disk, as du(1) counts them. */
  readonly contentBytes: number;
  readonly snapshotBytes: number;
}

/** What the stores take now. Active snapshots are measured, committed ones were. */
export async function storeUsage({ content, snapshots }: CollectorOptions): Promise<StoreUsage> {
  let contentBytes = 0;
  for await (const { size } of content.options.backend.walk()) contentBytes += onDisk(size);
  for await (const { offset } of content.options.backend.statuses()) contentBytes += onDisk(offset);
  let snapshotBytes = 0;
  for (const { options } of snapshots.values())
    for await (const { name } of options.backend.list()) snapshotBytes += (await options.backend.usage(name)).sizeBytes;
  return { contentBytes, snapshotBytes };
}

const blockBytes = 4096;
const onDisk = (size: number): number => Math.ceil(size / blockBytes) * blockBytes;

export interface BudgetOptions {
  readonly limitBytes: number;
  readonly usage: () => Promise<StoreUsage>;
  readonly collect: () => Promise<void>;
  readonly log: Logger;
}

export class StoreBudget implements AsyncDisposable {
  readonly #options: BudgetOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();
  #isOver = false;

  constructor(options: BudgetOptions) {
    this.#options = options;
  }

  /** Something was stored: soon looked at, once for all that comes meanwhile. */
  changed(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#running = this.check().catch((error: unknown) =>
        this.#options.log.error('the budget of the stores could not be checked', { error }),
      );
    }, checkMs).unref();
  }

  async check(): Promise<void> {
    const { limitBytes, log } = this.#options;
    if ((await this.#bytes()) <= limitBytes) {
      this.#isOver = false;
      return;
    }
    await this.#options.collect();
    const usedBytes = await this.#bytes();
    const isOver = usedBytes > limitBytes;
    if (isOver && !this.#isOver)
      log.warn('the stores are over their budget, and everything in them is in use', { usedBytes, limitBytes });
    this.#isOver = isOver;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #bytes(): Promise<number> {
    const { contentBytes, snapshotBytes } = await this.#options.usage();
    return contentBytes + snapshotBytes;
  }
}
