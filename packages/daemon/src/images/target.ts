/** What an image record points to. */
import { BoxshipError } from '@boxship/base';
import { type Descriptor, parseDigest } from '@boxship/oci';
import type { Parts } from '../parts.ts';

/** @param name full reference @throws notFound */
export async function targetDescriptor(parts: Parts, name: string): Promise<Descriptor> {
  const { image } = await parts.containerd.images.get({ name });
  if (image?.target === undefined) throw new BoxshipError('notFound', `No such image: ${name}`);
  const { mediaType, digest, size } = image.target;
  return { mediaType, digest: parseDigest(digest), size: Number(size) };
}
