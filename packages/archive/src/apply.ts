/**
 * Unpacking an archive with three threads: this one reads, one worker decompresses and hashes, another one writes files. Nobody
 * waits for anybody else as long as there are free slots, and this thread, which has others to serve, does next to nothing.
 */
import { MessageChannel } from 'node:worker_threads';
import type { ApplyOptions, ApplyTarget } from './apply/target.ts';
import { SlotWriter, sharedSlots } from './expand/slots.ts';
import { defaultLimits } from './limits.ts';
import { WorkerJob } from './worker-pool.ts';
import type { ArchiveSummary, FromWorker, LastMessage } from './worker-protocol.ts';

export interface ApplyArchiveOptions extends ApplyOptions {
  readonly signal?: AbortSignal;
  /** Uncompressed bytes handed to the worker so far. */
  readonly onProgress?: (bytes: number) => void;
}

// More would lie in memory without making anything faster: the slowest side decides.
const inputSlots = 8;
const outputSlots = 8;
const inputBytes = 256 * 1024;
const outputBytes = 512 * 1024;

/**
 * Unpacks a tar archive, compressed or not, below a directory. What `source` yields is used before the next piece is asked for.
 *
 * Names cannot leave the directory: `..` stops at the top, links are resolved inside. Files appear as they are read; a
 * failure leaves what was unpacked so far.
 * @returns digest and size of the uncompressed archive, including what follows its end
 * @throws invalidArgument (malformed), resourceExhausted (limits, disk), unimplemented (compression), failedPrecondition
 *   with details.code ENEEDMOUNT (overlay target: apply over the mounted overlay instead)
 */
export async function applyArchive(
  source: AsyncIterable<Uint8Array>,
  target: ApplyTarget,
  options: ApplyArchiveOptions = {},
): Promise<ArchiveSummary> {
  const { signal, onProgress, ...rest } = options;
  await using apply = await WorkerJob.open('apply', signal);
  await using expand = await WorkerJob.open('expand', signal);
  const input = sharedSlots(inputSlots, inputBytes);
  const output = sharedSlots(outputSlots, outputBytes);
  const { port1, port2 } = new MessageChannel();
  apply.send({ kind: 'apply', target, options: rest, slots: output, from: port1 }, [port1]);
  const limits = options.limits ?? defaultLimits;
  expand.send({ kind: 'expand', input, output, limits, to: port2 }, [port2]);

  const writer = new SlotWriter(input, (slot, length) => expand.send({ kind: 'chunk', slot, length }));
  const onFreed = (message: FromWorker): void => {
    if (message.kind !== 'freed') return;
    writer.freed(message.slot);
    onProgress?.(message.expandedBytes);
  };
  const work = Promise.all([lastOf(expand, signal, onFreed), lastOf(apply, signal)]);
  work.catch((error: unknown) => writer.fail(error)); // also told when the source has ended
  for await (const bytes of source) {
    signal?.throwIfAborted();
    await writer.write(bytes);
  }
  writer.flush();
  expand.send({ kind: 'end' });
  const [expanded, applied] = await work;
  if (expanded.kind !== 'expanded' || applied.kind !== 'applied')
    throw new TypeError('an archive worker mixed up jobs');
  return { digest: expanded.digest, size: expanded.size, entries: applied.entries };
}

async function lastOf(
  job: WorkerJob,
  signal: AbortSignal | undefined,
  onMessage: (message: FromWorker) => void = () => {},
): Promise<LastMessage> {
  for (;;) {
    const message = await job.next(signal);
    if (message.kind === 'expanded' || message.kind === 'applied') return message;
    onMessage(message);
  }
}
