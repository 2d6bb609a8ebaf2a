/** Measuring, copying and removing whole trees, in a worker: each is thousands of system calls. */
import { BoxshipError } from '@boxship/base';
import type { TreeCall, TreeUsage } from './tree/calls.ts';
import { WorkerJob } from './worker-pool.ts';

/** @throws notFound */
export async function measureTree(path: string): Promise<TreeUsage> {
  const usage = await call({ kind: 'measure', path });
  if (usage === undefined) throw new BoxshipError('internal', 'archive worker gave no answer');
  return usage;
}

/** Copies everything below `from` into `to`, metadata included. @throws notFound, resourceExhausted */
export const copyTree = async (from: string, to: string): Promise<void> =>
  void (await call({ kind: 'copy', from, to }));

/** Removes a path and everything below it; no error when it is gone. */
export const removeTree = async (path: string): Promise<void> => void (await call({ kind: 'remove', path }));

async function call(work: TreeCall): Promise<TreeUsage | undefined> {
  await using job = await WorkerJob.open('call');
  job.send({ kind: 'call', call: work });
  for (;;) {
    const message = await job.next();
    if (message.kind === 'returned') return message.usage;
  }
}
