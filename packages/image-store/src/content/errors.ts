/** The errors of content stores, in containerd's words: foreign clients print them. */
import { BoxshipError } from '@boxship/base';
import type { Digest } from '@boxship/oci';

export const contentNotFound = (digest: Digest): BoxshipError =>
  new BoxshipError('notFound', `content digest ${digest}: not found`, { details: { digest } });
export const contentExists = (digest: Digest): BoxshipError =>
  new BoxshipError('alreadyExists', `content ${digest}: already exists`, { details: { digest } });
export const refNotFound = (ref: string): BoxshipError =>
  new BoxshipError('notFound', `reference ${ref}: not found`, { details: { ref } });
export const refLocked = (ref: string, since: Date): BoxshipError =>
  new BoxshipError(
    'unavailable',
    `ref ${ref} locked for ${Date.now() - since.getTime()}ms (since ${since.toISOString()})`,
    {
      details: { ref },
    },
  );
export const wrongDigest = (actual: Digest, expected: Digest): BoxshipError =>
  new BoxshipError('failedPrecondition', `unexpected commit digest ${actual}, expected ${expected}`, {
    details: { actual, expected },
  });
export const wrongSize = (actual: number, expected: number): BoxshipError =>
  new BoxshipError('failedPrecondition', `unexpected commit size ${actual}, expected ${expected}`, {
    details: { actual, expected },
  });
export const beyondEnd = (offset: number, size: number): BoxshipError =>
  new BoxshipError('outOfRange', `read past object length ${size} at offset ${offset}`);

/** @throws invalidArgument */
export function checkRef(ref: string): string {
  if (ref === '') throw new BoxshipError('invalidArgument', 'ref must not be empty');
  if (ref.length > 4096 || ref.includes('\0'))
    throw new BoxshipError('invalidArgument', 'ref is too long or holds a NUL');
  return ref;
}

export const changedContent = (digest: Digest): BoxshipError =>
  new BoxshipError('dataLoss', `content ${digest} has changed on the disk`);
