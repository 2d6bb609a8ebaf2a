/** Writing an archive of a tree or of the differences of two: the worker walks and hashes, this thread passes chunks on. */
import { BoxshipError } from '@boxship/base';
import type { PackRequest } from './diff/request.ts';
import { WorkerJob } from './worker-pool.ts';
import { type ArchiveSummary, chunkBytes } from './worker-protocol.ts';

export interface Pack {
  /** The uncompressed archive. To be read once, to its end or until it is returned. */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Digest and size. @throws failedPrecondition before `chunks` has come to its end */
  summary(): ArchiveSummary;
}

/** @throws (from `chunks`) notFound, failedPrecondition with details.code ENEEDMOUNT: compare the mounted trees instead */
export function pack(request: PackRequest, options: { readonly signal?: AbortSignal } = {}): Pack {
  let summary: ArchiveSummary | undefined;
  const read = async function* (): AsyncGenerator<Uint8Array, void, undefined> {
    await using job = await WorkerJob.open('pack', options.signal);
    job.send({ kind: 'pack', request });
    // One chunk is made while the consumer works on the other.
    for (let i = 0; i < 2; i++) pull(job, new ArrayBuffer(chunkBytes));
    while (summary === undefined) {
      const message = await job.next(options.signal);
      if (message.kind === 'done') summary = message.summary;
      if (message.kind !== 'packed') continue;
      if (message.length > 0) yield new Uint8Array(message.memory, 0, message.length);
      pull(job, new ArrayBuffer(chunkBytes));
    }
  };
  return {
    chunks: read(),
    summary() {
      if (summary === undefined) throw new BoxshipError('failedPrecondition', 'archive: not read to its end');
      return summary;
    },
  };
}

const pull = (job: WorkerJob, memory: ArrayBuffer): void => job.send({ kind: 'pull', memory }, [memory]);
