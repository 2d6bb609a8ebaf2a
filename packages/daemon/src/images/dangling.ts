/**
 * An image that loses its last name stays, without one, until it is pruned: containers and layers may still need it. In
 * containerd a record is what keeps content, so it gets one by its digest.
 */

import type { images } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { Parts } from '../parts.ts';

type WireTarget = NonNullable<images.Image['target']>;

/** Records of images without a name begin so. */
export const untaggedPrefix = 'docker.io/library/untagged@';

export const untaggedName = (digest: string): string => `${untaggedPrefix}${digest}`;

/** Before `name` is given to another image: keeps the one it leads to now, unless other names do. */
export async function keepDangling(parts: Parts, name: string, next: string): Promise<void> {
  const { images } = await parts.containerd.images.list();
  const current = images.find((image) => image.name === name)?.target;
  if (current === undefined || current.digest === next) return;
  const hasOtherName = images.some((image) => image.name !== name && image.target?.digest === current.digest);
  if (hasOtherName) return;
  await writeUntagged(parts, current);
}

async function writeUntagged(parts: Parts, target: WireTarget): Promise<void> {
  const image = { name: untaggedName(target.digest), labels: {}, target, createdAt: undefined, updatedAt: undefined };
  try {
    await parts.containerd.images.create({ image });
  } catch (error) {
    if (!BoxshipError.is(error, 'alreadyExists')) throw error; // kept already
  }
}
