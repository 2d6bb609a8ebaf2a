/**
 * Children that nobody here knows: processes that left their parents inside a container without a pid namespace of its own
 * are re-parented to the shim, the subreaper. Their zombies are taken away, but only after they have been seen twice with
 * no runtime command in between: a process just made by `runc exec` is known a moment later.
 */
import { childrenOf, processStat, reapChild } from '@boxship/linux';
import type { Group } from './group.ts';

const LOOK_AGAIN_MS = 1000;

/** Looks whenever a child has ended. Disposing stops it. */
export function reapOrphans(group: Group): Disposable {
  let seen = new Set<number>();
  let timer: NodeJS.Timeout | undefined;
  const look = () => {
    timer = undefined;
    const known = group.knownPids();
    const zombies = childrenOf(process.pid).filter((pid) => !known.has(pid) && processStat(pid)?.state === 'Z');
    if (group.isCommandUnderWay) seen = new Set();
    // Node reaps its own children at once: one that is still a zombie a second later is not Node's
    for (const pid of zombies) if (seen.has(pid)) reapChild(pid);
    seen = new Set(zombies.filter((pid) => !seen.has(pid)));
    if (zombies.length > 0) schedule();
  };
  const schedule = () => {
    timer ??= setTimeout(look, LOOK_AGAIN_MS).unref();
  };
  process.on('SIGCHLD', schedule);
  return {
    [Symbol.dispose]() {
      process.off('SIGCHLD', schedule);
      clearTimeout(timer);
    },
  };
}
