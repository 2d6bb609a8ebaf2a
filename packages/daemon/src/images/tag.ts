/** `POST /images/{name}/tag`: one more record that leads to the image. */
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  familiarString,
  formatReference,
  parseNormalizedNamed,
  tagNameOnly,
  withTag,
} from '@boxship/oci';
import type { Parts } from '../parts.ts';
import { keepDangling } from './dangling.ts';
import type { NamedImage } from './image-index.ts';

/** @throws invalidArgument */
export async function tagImage(parts: Parts, entry: NamedImage, repo: string, tag: string): Promise<void> {
  const parsed = parseNormalizedNamed(repo);
  if (parsed.digest !== undefined)
    throw new BoxshipError('invalidArgument', 'refusing to create a tag with a digest reference');
  const reference = tagNameOnly(tag === '' ? parsed : withTag(parsed, tag));
  const [known = ''] = entry.names;
  const { image } = await parts.containerd.images.get({ name: known });
  if (image?.target === undefined) throw new BoxshipError('notFound', `No such image: ${known}`);
  await setRecord(parts, formatReference(reference), image.target);
  parts.events.publish('image', 'tag', entry.image.id, { name: familiarString(reference) });
}

/** Makes the name lead to the target, wherever it has led before. */
export async function writeName(parts: Parts, name: string, target: Descriptor): Promise<void> {
  await setRecord(parts, name, {
    mediaType: target.mediaType,
    digest: target.digest,
    size: BigInt(target.size),
    annotations: {},
  });
}

type WireTarget = NonNullable<
  NonNullable<Awaited<ReturnType<Parts['containerd']['images']['get']>>['image']>['target']
>;

async function setRecord(parts: Parts, name: string, target: WireTarget): Promise<void> {
  const image = { name, labels: {}, target, createdAt: undefined, updatedAt: undefined };
  try {
    await parts.containerd.images.create({ image });
  } catch (error) {
    if (!BoxshipError.is(error, 'alreadyExists')) throw error;
    await keepDangling(parts, name, target.digest);
    await parts.containerd.images.update({ image, updateMask: ['target'] });
  }
}
