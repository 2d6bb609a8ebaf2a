/** `POST /images/{name}/tag`: one more record that leads to the image. */
import { BoxshipError } from '@boxship/base';
import { familiarString, formatReference, parseNormalizedNamed, tagNameOnly, withTag } from '@boxship/oci';
import type { Parts } from '../parts.ts';
import type { NamedImage } from './image-index.ts';

/** @throws invalidArgument */
export async function tagImage(parts: Parts, entry: NamedImage, repo: string, tag: string): Promise<void> {
  const parsed = parseNormalizedNamed(repo);
  if (parsed.digest !== undefined)
    throw new BoxshipError('invalidArgument', 'refusing to create a tag with a digest reference');
  const reference = tagNameOnly(tag === '' ? parsed : withTag(parsed, tag));
  await setName(parts, formatReference(reference), entry);
  parts.events.publish('image', 'tag', entry.image.id, { name: familiarString(reference) });
}

/** Makes the name lead to the image, wherever it has led before. */
export async function setName(parts: Parts, name: string, entry: NamedImage): Promise<void> {
  const [known] = entry.names;
  const { image: record } = await parts.containerd.images.get({ name: known ?? '' });
  const image = { name, labels: {}, target: record?.target, createdAt: undefined, updatedAt: undefined };
  try {
    await parts.containerd.images.create({ image });
  } catch (error) {
    if (!BoxshipError.is(error, 'alreadyExists')) throw error;
    await parts.containerd.images.update({ image, updateMask: ['target'] });
  }
}
