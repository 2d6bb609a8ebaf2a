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

const chunksInFlight = 8;

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
  job.send({ kind: 'apply', target, options: rest });
  const free: ArrayBuffer[] = [];
  let allocated = 0;
  const take = (message: FromWorker): void => {
    if (message.kind === 'free') free.push(message.memory);
  };
  const nextFree = async (): Promise<ArrayBuffer> => {
    for (let message = job.poll(); message !== undefined; message = job.poll()) take(message);
    while (free.length === 0 && allocated >= chunksInFlight) take(await job.next(signal));
    const memory = free.pop();
    if (memory !== undefined) return memory;
    allocated++;
    return new ArrayBuffer(chunkBytes);
  };
  let chunk: Uint8Array | undefined;
  let filled = 0;
  let total = 0;
  const flush = (): void => {
    if (chunk === undefined || filled === 0) return;
    const memory = chunk.buffer as ArrayBuffer;
    job.send({ kind: 'chunk', memory, length: filled }, memory);
    total += filled;
    chunk = undefined;
    filled = 0;
    onProgress?.(total);
  };
  for await (const bytes of decompress(source, options.limits)) {
    signal?.throwIfAborted();
    for (let at = 0; at < bytes.length; ) {
      chunk ??= new Uint8Array(await nextFree());
      const piece = bytes.subarray(at, at + chunk.length - filled);
      chunk.set(piece, filled);
      filled += piece.length;
      at += piece.length;
      if (filled === chunk.length) flush();
    }
  }
  flush();
  job.send({ kind: 'end' });
  for (;;) {
    const message = await job.next(signal);
    if (message.kind === 'done') return message.summary;
  }
}
