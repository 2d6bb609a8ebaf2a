/** A further name for an image, and the record that every way of getting an image ends with. */
import type { transferTypes as types } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { ImageStore } from '@boxship/image-store';
import type { Descriptor } from '@boxship/oci';
import type { Transfer } from './transfer-messages.ts';

/** @throws notFound, invalidArgument without a name */
export async function tagImage(
  { stores }: Transfer,
  source: types.ImageStore,
  destination: types.ImageStore,
): Promise<void> {
  if (destination.name === '') throw new BoxshipError('invalidArgument', 'tag: the new name must not be empty');
  const { target } = await stores.images.get(source.name);
  await writeImage(stores.images, destination.name, target, destination.labels);
}

/** Makes or moves a name. */
export async function writeImage(
  images: ImageStore,
  name: string,
  target: Descriptor,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  const fields = ['target', ...Object.keys(labels).map((key) => `labels.${key}`)];
  try {
    await images.update({ name, target, labels }, fields);
  } catch (error) {
    if (!BoxshipError.is(error, 'notFound')) throw error;
    await images.create({ name, target, labels });
  }
}
