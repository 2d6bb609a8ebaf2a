/** Copies a client's bytes to a process's stdin, with back-pressure, detach keys and half close. */
import type { Duplex } from 'node:stream';
import { DetachScanner, defaultDetachKeys, parseDetachKeys } from './detach-keys.ts';
import type { ProcessInput } from './process-input.ts';

export interface InputOptions {
  readonly client: Duplex;
  /** The input as it is now; a container that is not started yet has none. */
  readonly input: () => ProcessInput | undefined;
  readonly isTty: boolean;
  readonly detachKeys: string;
  /** The client has ended its side: close the process's stdin, or only this copy. */
  readonly onEnd: () => void;
  readonly onDetach: () => void;
}

/** Starts copying; bytes that come before the process exists wait in the socket. Gives the function that lets them flow. */
export function copyInput(options: InputOptions): { readonly flow: () => void } {
  const { client } = options;
  const scanner = options.isTty
    ? new DetachScanner(parseDetachKeys(options.detachKeys || defaultDetachKeys))
    : undefined;
  let pending: Promise<void> = Promise.resolve();
  let waiting = 0;
  let isFlowing = false;
  const early: Buffer[] = [];

  const write = (chunk: Buffer): void => {
    const scanned = scanner?.push(chunk) ?? { bytes: chunk, isDetached: false };
    const input = options.input();
    const isLeft = scanned.bytes.length > 0 && input !== undefined;
    if (isLeft && !(waiting === 0 && input.writeAtOnce(scanned.bytes))) {
      client.pause();
      waiting++;
      pending = pending
        .then(() => input.write(scanned.bytes))
        .catch(() => {}) // the process has closed its stdin or ended: the rest is for nobody
        .finally(() => {
          waiting--;
          client.resume();
        });
    }
    if (scanned.isDetached) options.onDetach();
  };
  client.on('data', (chunk: Buffer) => {
    if (isFlowing) return write(chunk);
    early.push(chunk);
    client.pause(); // the listener stands, so reading can be resumed
  });
  let hasEnded = false;
  const end = () => {
    pending.finally(options.onEnd).catch(() => {}); // a failed write was handled where it was queued
  };
  client.on('end', () => {
    hasEnded = true;
    if (isFlowing) end();
  });
  return {
    flow() {
      if (isFlowing) return;
      isFlowing = true;
      for (const chunk of early.splice(0)) write(chunk);
      client.resume();
      if (hasEnded) end();
    },
  };
}
