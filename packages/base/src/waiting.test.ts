/** Deadlines, pauses, repetition. */
import { describe, expect, it } from 'vitest';
import { atMost, sleep, withDeadline } from './deadline.ts';
import { BoxshipError } from './errors.ts';
import { poll, retry } from './retry.ts';

const never = () => new Promise<never>(() => {});
const wait = { component: 'containerd', operation: 'Tasks.Start', id: 'abc' } as const;

describe('atMost', () => {
  it('says whether the work came to its end, passes its failure on, and leaves no timer', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((each) => each === 'Timeout').length;
    const before = timers();
    expect(await atMost(60_000, Promise.resolve())).toBe(true);
    expect(await atMost(5, never())).toBe(false);
    await expect(atMost(60_000, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(timers()).toBe(before);
  });

  it('a failure after its time is nobody’s any more', async () => {
    const late = Promise.withResolvers<void>();
    expect(await atMost(5, late.promise)).toBe(false);
    late.reject(new Error('late')); // would be an unhandled rejection, which fails the run
    await sleep(1);
  });
});

describe('withDeadline', () => {
  it('gives the result', async () => {
    expect(await withDeadline({ ...wait, timeoutMs: 1000 }, async () => 7)).toBe(7);
  });

  it('names who waited for what and how long, even if the work ignores its signal', async () => {
    await expect(withDeadline({ ...wait, timeoutMs: 5 }, never)).rejects.toMatchObject({
      kind: 'deadlineExceeded',
      message: 'containerd: Tasks.Start of abc took longer than 5 ms',
    });
  });

  it('fires the signal of the work at the deadline', async () => {
    let reason: unknown;
    const work = (signal: AbortSignal) => {
      signal.addEventListener('abort', () => {
        reason = signal.reason;
      });
      return never();
    };
    await expect(withDeadline({ component: 'shim', operation: 'x', timeoutMs: 5 }, work)).rejects.toThrow(
      'shim: x took',
    );
    expect(reason).toMatchObject({ kind: 'deadlineExceeded' });
  });

  it("rejects with the caller's own reason, before and during the work", async () => {
    const gone = new BoxshipError('cancelled', 'the client went away');
    const caller = new AbortController();
    const waiting = withDeadline({ ...wait, timeoutMs: 5000, signal: caller.signal }, never);
    caller.abort(gone);
    await expect(waiting).rejects.toBe(gone);
    await expect(withDeadline({ ...wait, timeoutMs: 5000, signal: caller.signal }, never)).rejects.toBe(gone);
  });

  it("keeps the work's own error, and leaves no listener behind", async () => {
    const caller = new AbortController();
    const failure = new BoxshipError('notFound', 'x');
    const options = { ...wait, timeoutMs: 5000, signal: caller.signal };
    await expect(withDeadline(options, () => Promise.reject(failure))).rejects.toBe(failure);
    caller.abort(); // nobody is left to reject: an unhandled rejection would fail the run
  });
});

describe('sleep', () => {
  it('ends early with the reason of its signal', async () => {
    const reason = new Error('enough');
    await expect(sleep(60_000, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    const sleeping = sleep(60_000, controller.signal);
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });
});

describe('retry', () => {
  const options = { attempts: 3, firstDelayMs: 1, maxDelayMs: 2, isRetryable: () => true };

  it('repeats until it succeeds, counting from one', async () => {
    const attempts: number[] = [];
    const result = await retry(options, async (attempt) => {
      attempts.push(attempt);
      if (attempt < 3) throw new Error('not yet');
      return 'done';
    });
    expect([result, attempts]).toEqual(['done', [1, 2, 3]]);
  });

  it('gives up after the last attempt, or at an error that will not pass', async () => {
    let count = 0;
    const fail = async (): Promise<never> => {
      count++;
      throw new Error('no');
    };
    await expect(retry(options, fail)).rejects.toThrow('no');
    expect(count).toBe(3);
    await expect(retry({ ...options, isRetryable: () => false }, fail)).rejects.toThrow('no');
    expect(count).toBe(4);
  });

  it('does not go on when the caller is gone', async () => {
    let count = 0;
    const work = async (): Promise<never> => {
      count++;
      throw new Error('no');
    };
    await expect(retry({ ...options, signal: AbortSignal.abort() }, work)).rejects.toThrow('no');
    expect(count).toBe(1);
  });
});

describe('poll', () => {
  it('gives the first value, also one that is false', async () => {
    let count = 0;
    const probe = () => (++count < 3 ? undefined : false);
    expect(await poll({ everyMs: 1, timeoutMs: 5000 }, probe)).toBe(false);
    expect(count).toBe(3);
  });

  it('asks at least once and gives undefined when the time is over', async () => {
    let count = 0;
    const probe = () => {
      count++;
      return undefined;
    };
    expect(await poll({ everyMs: 1, timeoutMs: 0 }, probe)).toBeUndefined();
    expect(count).toBe(1);
  });
});
