/**
 * Layers that are not there, though the image is: a cut of power has taken what was not on the disk yet, or somebody has removed
 * them beside us. They are made again of the blobs.
 */
import { BoxshipError } from '@boxship/base';
import { remoteStores } from '@boxship/containerd-client';
import { unpack } from '@boxship/image-store';
import type { Parts } from '../parts.ts';
import type { EngineImage } from './image-index.ts';

const leaseMs = 3_600_000;

/** @throws notFound when the blobs are not there either */
export async function unpackAgain(parts: Parts, { id, manifest, config }: EngineImage): Promise<void> {
  const { snapshotter: snapshotterName } = parts.config;
  const { content, snapshotter, applier, leases } = remoteStores(parts.containerd, snapshotterName);
  parts.log.warn('an image has no layers to start from: they are unpacked again', { id });
  const lease = await leases.create({ expiresAt: new Date(Date.now() + leaseMs) });
  try {
    const image = { config: manifest.config, imageConfig: config, layers: manifest.layers };
    await unpack({ content, snapshotter, snapshotterName, applier, ...image, lease: lease.id, log: parts.log });
  } catch (error) {
    if (!BoxshipError.is(error, 'notFound')) throw error;
    throw new BoxshipError('notFound', `image ${id} has lost layers and what they are made of: pull it again`, {
      cause: error,
    });
  } finally {
    await leases.delete(lease.id);
  }
}
