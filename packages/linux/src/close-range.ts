/** Many descriptors with one call: close_range(2), Linux 5.9. */
import { closeSync } from 'node:fs';
import { declare } from './libc.ts';

const closeRange = declare('int close_range(unsigned int first, unsigned int last, int flags)');
const CLOSE_RANGE_CLOEXEC = 4; // Linux 5.11

/**
 * Marks every open descriptor above stderr: those that this process inherited without close-on-exec would travel on into every program
 * it starts, and from a runtime into containers. Node marks its own. On a kernel without the call they stay as they are.
 */
export function markInheritedCloseOnExec(): void {
  closeRange(3, 0xffff_ffff, CLOSE_RANGE_CLOEXEC);
}

/**
 * Closes descriptors of the caller's, neighbours with one call. What a file system says at the close of a neighbour is not told:
 * whoever must know syncs.
 * @throws the first error, when all are closed
 */
export function closeAll(fds: readonly number[]): void {
  const sorted = fds.toSorted((a, b) => a - b);
  const failures: unknown[] = [];
  for (let first = 0, next = 1; first < sorted.length; first = next, next++) {
    while (next < sorted.length && sorted[next] === (sorted[next - 1] as number) + 1) next++;
    const run = sorted.slice(first, next);
    if (run.length > 1 && closeRange(run[0], run.at(-1), 0) === 0) continue;
    for (const fd of run) {
      try {
        closeSync(fd);
      } catch (error) {
        failures.push(error);
      }
    }
  }
  if (failures.length > 0) throw failures[0];
}
