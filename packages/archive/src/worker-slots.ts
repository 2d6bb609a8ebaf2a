/**
 * How many jobs of a kind may run at once. The kinds are counted apart, since one may feed another (what is packed is
 * expanded and applied elsewhere): with a common count, two such pairs could wait for each other for ever. The numbers are
 * high, because a job may be fed by a slow client, and that must not keep others from working.
 */
export type JobKind = 'apply' | 'contents' | 'expand' | 'pack' | 'call';

const limits: Readonly<Record<JobKind, number>> = { apply: 16, contents: 16, expand: 16, pack: 16, call: 4 };
const busy: Record<JobKind, number> = { apply: 0, contents: 0, expand: 0, pack: 0, call: 0 };
const waiting: Record<JobKind, (() => void)[]> = { apply: [], contents: [], expand: [], pack: [], call: [] };

/** Waits for a turn; the lease ends it. @throws the signal's reason */
export async function acquireSlot(kind: JobKind, signal?: AbortSignal): Promise<Disposable> {
  signal?.throwIfAborted();
  if (busy[kind] < limits[kind]) busy[kind]++;
  else {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const turn = (): void => resolve();
    const onAbort = (): void => {
      const at = waiting[kind].indexOf(turn);
      if (at >= 0) waiting[kind].splice(at, 1); // else the turn has come already, and the caller gives it back
      reject(signal?.reason);
    };
    waiting[kind].push(turn);
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }
  return {
    [Symbol.dispose]: () => {
      const next = waiting[kind].shift();
      if (next === undefined) busy[kind]--;
      else next(); // the turn is handed over: the count stays
    },
  };
}
