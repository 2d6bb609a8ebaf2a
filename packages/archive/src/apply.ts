/**
 * Unpacking an archive with two threads: this one reads and decompresses (zlib works on a pool thread), the worker hashes
 * and writes files. Neither waits for the other as long as there are free chunks.
 */
import type { ApplyOptions, ApplyTarget } from './apply/target.ts';
import { decompress } from './compression.ts';
import { WorkerJob } from './worker-pool.ts';
import { type ArchiveSummary, chunkBytes, type FromWorker } from './worker-protocol.ts';

export interface ApplyArchiveOptions extends ApplyOptions {
  readonly signal?: AbortSignal;
  /** Uncompressed bytes handed to the worker so far. */
  readonly onProgress?: (bytes: number) => void;
}

/** More would lie in memory without making anything faster: the slower side decides. */
const slots = 8;

/**
 * Unpacks a tar archive, compressed or not, below a directory.
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
  await using job = await WorkerJob.open('apply', signal);
  const memory = new SharedArrayBuffer(slots * chunkBytes);
  job.send({ kind: 'apply', target, options: rest, memory });
  const bytesOfSlots = new Uint8Array(memory);
  const free = Array.from({ length: slots }, (_, slot) => slot);
  const take = (message: FromWorker): void => {
    if (message.kind === 'free') free.push(message.slot);
  };
  const nextFree = async (): Promise<number> => {
    for (let message = job.poll(); message !== undefined; message = job.poll()) take(message);
    while (free.length === 0) take(await job.next(signal));
    return free.shift() as number;
  };
  let slot: number | undefined;
  let filled = 0;
  let total = 0;
  const flush = (): void => {
    if (slot === undefined || filled === 0) return;
    job.send({ kind: 'chunk', slot, length: filled });
    total += filled;
    slot = undefined;
    filled = 0;
    onProgress?.(total);
  };
  for await (const bytes of decompress(source, options.limits)) {
    signal?.throwIfAborted();
    for (let at = 0; at < bytes.length; ) {
      slot ??= await nextFree();
      const piece = bytes.subarray(at, at + chunkBytes - filled);
      bytesOfSlots.set(piece, slot * chunkBytes + filled);
      filled += piece.length;
      at += piece.length;
      if (filled === chunkBytes) flush();
    }
  }
  flush();
  job.send({ kind: 'end' });
  for (;;) {
    const message = await job.next(signal);
    if (message.kind === 'done') return message.summary;
  }
}
