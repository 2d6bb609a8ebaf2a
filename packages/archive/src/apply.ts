/**
 * Unpacking an archive with several threads: this one reads, one worker decompresses and hashes, another one makes files, and if the
 * archive is not small, a third one writes what is in them. Nobody waits for anybody else as long as there are free slots, and this
 * thread, which has others to serve, does next to nothing.
 */
import { MessageChannel } from 'node:worker_threads';
import { HelperOffer } from './apply/helper-offer.ts';
import type { ApplyOptions, ApplyTarget } from './apply/target.ts';
import { borrowSlots } from './expand/slot-pool.ts';
import { SlotWriter } from './expand/slots.ts';
import { defaultLimits } from './limits.ts';
import { WorkerJob } from './worker-pool.ts';
import type { ArchiveSummary, FromWorker, LastMessage } from './worker-protocol.ts';

export interface ApplyArchiveOptions extends ApplyOptions {
  readonly signal?: AbortSignal;
  /** Uncompressed bytes handed to the worker so far. */
  readonly onProgress?: (bytes: number) => void;
}

// More would lie in memory without making anything faster: the slowest side decides.
const inputSlots = 4;
const outputSlots = 8;
const inputBytes = 512 * 1024;
const outputBytes = 512 * 1024;
/** Of the archive as it comes. What has fewer bytes is unpacked before another thread has begun. */
const worthHelp = 2 * 1024 * 1024;

/** Puts an archive's next bytes where they are wanted, which saves a copy of each. */
export interface ArchiveReader extends AsyncDisposable {
  /** Fills `room`, or some of it, and says how much; 0 at the end. */
  readInto(room: Uint8Array): Promise<number>;
}

/**
 * Unpacks a tar archive, compressed or not, below a directory. A piece that `source` yields is used before the next one is asked for;
 * a reader is disposed of.
 *
 * Names cannot leave the directory: `..` stops at the top, links are resolved inside. Files appear as they are read; a
 * failure leaves what was unpacked so far.
 * @returns digest and size of the uncompressed archive, including what follows its end
 * @throws invalidArgument (malformed), resourceExhausted (limits, disk), unimplemented (compression), failedPrecondition
 *   with details.code ENEEDMOUNT (overlay target: apply over the mounted overlay instead)
 */
export async function applyArchive(
  source: AsyncIterable<Uint8Array> | ArchiveReader,
  target: ApplyTarget,
  options: ApplyArchiveOptions = {},
): Promise<ArchiveSummary> {
  const { signal, onProgress, ...rest } = options;
  using input = borrowSlots(inputSlots, inputBytes);
  using output = borrowSlots(outputSlots, outputBytes);
  await using _source = 'readInto' in source ? source : undefined;
  await using helper = new HelperOffer(output); // ended after the two below
  await using apply = await WorkerJob.open('apply', signal);
  await using expand = await WorkerJob.open('expand', signal);
  const { port1, port2 } = new MessageChannel();
  const { line, freed } = helper;
  apply.send({ kind: 'apply', target, options: rest, slots: output, from: port1, helper: line }, [port1, line.port]);
  const limits = options.limits ?? defaultLimits;
  expand.send({ kind: 'expand', input, output, limits, to: port2, freed }, [port2, freed]);

  const writer = new SlotWriter(input, (slot, length) => expand.send({ kind: 'chunk', slot, length }));
  const onFreed = (message: FromWorker): void => {
    if (message.kind !== 'freed') return;
    writer.freed(message.slot);
    onProgress?.(message.expandedBytes);
  };
  const broken = Promise.withResolvers<never>();
  const work = Promise.race([Promise.all([lastOf(expand, signal, onFreed), lastOf(apply, signal)]), broken.promise]);
  work.catch((error: unknown) => writer.fail(error)); // also told when the source has ended
  let taken = 0;
  for await (const length of pour(source, writer)) {
    signal?.throwIfAborted();
    if (taken < worthHelp && taken + length >= worthHelp)
      lastOf(await helper.start(signal), signal).catch(broken.reject);
    taken += length;
  }
  writer.flush();
  expand.send({ kind: 'end' });
  const [expanded, applied] = await work;
  if (expanded.kind !== 'expanded' || applied.kind !== 'applied')
    throw new TypeError('an archive worker mixed up jobs');
  return { digest: expanded.digest, size: expanded.size, entries: applied.entries };
}

/** How many bytes each step has put into slots. */
async function* pour(source: AsyncIterable<Uint8Array> | ArchiveReader, slots: SlotWriter): AsyncGenerator<number> {
  if ('readInto' in source) {
    for (;;) {
      const length = await source.readInto(await slots.room());
      if (length === 0) return;
      slots.advance(length);
      yield length;
    }
  }
  for await (const bytes of source) {
    await slots.write(bytes);
    yield bytes.length;
  }
}

async function lastOf(
  job: WorkerJob,
  signal: AbortSignal | undefined,
  onMessage: (message: FromWorker) => void = () => {},
): Promise<LastMessage> {
  for (;;) {
    const message = await job.next(signal);
    if (message.kind === 'expanded' || message.kind === 'applied' || message.kind === 'written') return message;
    onMessage(message);
  }
}
