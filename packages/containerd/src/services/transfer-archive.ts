/** Images out of and into archives that travel over a stream: `ctr images import` and `export` of containerd 2. */
import type { transferTypes as types } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { exportImages, type ImportedImage, importImages, unpackTarget } from '@boxship/image-store';
import { hostPlatform } from '@boxship/oci';
import { receiveData, sendData } from './transfer-data.ts';
import { type Transfer, toPlatform, withProgress } from './transfer-messages.ts';
import { writeImage } from './transfer-tag.ts';

const leaseMs = 24 * 3_600_000;

export async function importArchive(
  transfer: Transfer,
  source: types.ImageImportStream,
  destination: types.ImageStore,
): Promise<void> {
  const { options, stores, context } = transfer;
  const stream = await options.streams.get(context.namespace, source.stream);
  const lease = context.lease ?? (await stores.leases.create({ expiresAt: new Date(Date.now() + leaseMs) })).id;
  try {
    await withProgress(transfer, async (tell) => {
      const imported = await importImages({
        content: stores.content,
        source: receiveData(stream),
        lease,
        signal: context.signal,
      });
      for (const image of imported) {
        for (const name of namesOf(image, destination))
          await writeImage(stores.images, name, image.target, destination.labels);
        for (const unpack of destination.unpacks) {
          const snapshotterName = unpack.snapshotter === '' ? options.defaultSnapshotter : unpack.snapshotter;
          await unpackTarget({
            content: stores.content,
            snapshotter: stores.snapshotter(snapshotterName),
            snapshotterName,
            applier: stores.applier,
            target: image.target,
            platform: toPlatform(unpack.platform) ?? hostPlatform(),
            lease,
            signal: context.signal,
            log: options.log,
          });
        }
        tell({ kind: 'done', target: image.target, isNewer: true });
      }
    });
  } finally {
    stream.end();
    if (context.lease === undefined) await stores.leases.delete(lease);
  }
}

/** The names that the caller wants for an image of the archive. @throws invalidArgument when that is none */
function namesOf({ name, target }: ImportedImage, destination: types.ImageStore): string[] {
  const names = new Set<string>();
  if (name !== undefined) names.add(name);
  if (destination.name !== '') names.add(destination.name);
  for (const reference of destination.extraReferences) {
    if (!reference.isPrefix) names.add(reference.name);
    if (reference.addDigest && !(reference.skipNamedDigest && name !== undefined))
      names.add(`${reference.name}@${target.digest}`);
  }
  if (names.size === 0)
    throw new BoxshipError(
      'invalidArgument',
      `the archive names no image for ${target.digest}, and neither does the caller`,
    );
  return [...names];
}

export async function exportArchive(
  transfer: Transfer,
  source: types.ImageStore,
  destination: types.ImageExportStream,
): Promise<void> {
  const { options, stores, context } = transfer;
  const names = [source.name, ...source.extraReferences.map(({ name }) => name)].filter((name) => name !== '');
  const images = await Promise.all(
    names.map(async (name) => ({ target: (await stores.images.get(name)).target, names: [name] })),
  );
  const platform = destination.allPlatforms ? undefined : (toPlatform(destination.platforms[0]) ?? hostPlatform());
  const stream = await options.streams.get(context.namespace, destination.stream);
  try {
    await withProgress(transfer, async () => {
      const archive = exportImages({
        content: stores.content,
        images,
        signal: context.signal,
        ...(platform === undefined ? {} : { platform }),
      });
      await sendData(stream, archive);
    });
  } finally {
    stream.end();
  }
}
