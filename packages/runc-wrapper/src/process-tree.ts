/**
 * Ends a runtime that hangs, with all that it started. The runtime leads a process group of its own; children that left the
 * group (runc's init calls setsid) are found through /proc before their parents die and they are re-parented.
 */
import { childrenOf, processStat } from '@boxship/linux';

/** Descendants of a process, nearest first. */
export function descendantsOf(pid: number): number[] {
  const found: number[] = [];
  const queue = [pid];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const children = childrenOf(next);
    found.push(...children);
    queue.push(...children);
  }
  return found;
}

/** SIGKILLs the process group led by `pid` and every descendant. Those already gone are no error. */
export function killTree(pid: number): void {
  const targets = [pid, ...descendantsOf(pid)];
  // stopped first, so that nobody starts another child while the list is worked off
  for (const signal of ['SIGSTOP', 'SIGKILL'] as const) {
    kill(-pid, signal);
    for (const target of targets) if (processStat(target) !== undefined) kill(target, signal);
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it has ended by itself
  }
}
