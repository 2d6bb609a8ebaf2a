import { closeSync } from 'node:fs';
import { declare } from './libc.ts';

const closeRange = declare('int close_range(unsigned int first, unsigned int last, int flags)');

/**
 * Closes descriptors of the caller's, neighbours with one call (close_range(2), Linux 5.9). What a file system says only at a close
 * is not told then: whoever must know syncs.
 */
export function closeAll(fds: readonly number[]): void {
  const sorted = fds.toSorted((a, b) => a - b);
  for (let first = 0, next = 1; first < sorted.length; first = next, next++) {
    while (next < sorted.length && sorted[next] === (sorted[next - 1] as number) + 1) next++;
    const run = sorted.slice(first, next);
    if (run.length === 1 || closeRange(run[0], run.at(-1), 0) < 0) for (const fd of run) closeSync(fd);
  }
}
