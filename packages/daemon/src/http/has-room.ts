/** Backpressure. */
import type { Writable } from 'node:stream';

/** After a write that was told to wait: resolves when there is room again, or nobody takes anything any more. Leaves no listener. */
export const hasRoom = (target: Writable): Promise<void> =>
  new Promise((resolve) => {
    if (target.destroyed) {
      resolve();
      return;
    }
    const done = () => {
      target.off('drain', done);
      target.off('close', done);
      resolve();
    };
    target.on('drain', done);
    target.on('close', done);
  });
