/** Nobody waits for ever: every external wait goes through {@link withDeadline}, whose error names what was waited for. */
import { BoxshipError } from './errors.ts';

export interface Deadline {
  /** Which part waits: `daemon`, `containerd`, `shim` … */
  readonly component: string;
  /** What it waits for: `runc create`, `Tasks.Start` … */
  readonly operation: string;
  /** The object concerned. */
  readonly id?: string;
  readonly timeoutMs: number;
  /** The caller's own signal; its reason is thrown when it fires first. */
  readonly signal?: AbortSignal;
}

/** Runs `work` with a signal that fires at the deadline; rejects with `deadlineExceeded` even if `work` ignores it. */
export async function withDeadline<T>(deadline: Deadline, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const { promise: expired, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const of = deadline.id === undefined ? '' : ` of ${deadline.id}`;
    const error = new BoxshipError(
      'deadlineExceeded',
      `${deadline.component}: ${deadline.operation}${of} took longer than ${deadline.timeoutMs} ms`,
    );
    controller.abort(error);
    reject(error);
  }, deadline.timeoutMs);
  const onAbort = () => {
    controller.abort(deadline.signal?.reason);
    reject(deadline.signal?.reason);
  };
  if (deadline.signal?.aborted) onAbort();
  deadline.signal?.addEventListener('abort', onAbort, { once: true });
  expired.catch(() => {}); // handled by the race below, or irrelevant once the work has finished
  try {
    return await Promise.race([work(controller.signal), expired]);
  } finally {
    clearTimeout(timer);
    deadline.signal?.removeEventListener('abort', onAbort);
  }
}

/** Waits for `work`, but no longer than `ms`: whether it came to its end. For what is not worth more of a wait. */
export async function atMost(ms: number, work: Promise<unknown>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), ms);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Resolves after `ms`, or rejects with the signal's reason. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
