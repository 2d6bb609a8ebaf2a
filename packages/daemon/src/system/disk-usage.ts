/** `GET /system/df`. */
import { measureTree } from '@boxship/archive';
import { apiAtLeast, type DiskUsage } from '@boxship/engine-api';
import { listContainers } from '../containers/list.ts';
import { committedSize } from '../containers/sizes.ts';
import { usersOfVolume } from '../containers/volume-mounts.ts';
import { listImages } from '../images/list.ts';
import type { Parts } from '../parts.ts';
import { volumeResource } from '../volumes/resource.ts';

export async function diskUsage(parts: Parts, types: readonly string[], apiVersion: string): Promise<DiskUsage> {
  const isWanted = (type: string) => types.length === 0 || !apiAtLeast(apiVersion, '1.42') || types.includes(type);
  const containers = isWanted('container')
    ? await listContainers(parts, { isAll: true, limit: 0, hasSize: true, filters: new Map(), apiVersion })
    : undefined;
  const images = isWanted('image') ? await imageUsage(parts, apiVersion) : undefined;
  const volumes = isWanted('volume')
    ? await Promise.all(
        parts.volumes.list().map(async (volume) => ({
          ...volumeResource(volume),
          UsageData: {
            RefCount: usersOfVolume(parts, volume.name).length,
            Size: (await measureTree(volume.mountpoint)).sizeBytes,
          },
        })),
      )
    : undefined;
  return {
    ...(images === undefined ? {} : { LayersSize: images.layersSize, Images: images.list }),
    ...(containers === undefined ? {} : { Containers: containers }),
    ...(volumes === undefined ? {} : { Volumes: volumes }),
    ...(isWanted('build-cache') ? { BuildCache: [] } : {}),
    BuilderSize: 0,
  };
}

async function imageUsage(parts: Parts, apiVersion: string) {
  const list = await listImages(parts, { filters: new Map(), apiVersion, hasSharedSize: true });
  const chains = new Set((await parts.images.list()).map(({ image }) => image.chainId));
  let layersSize = 0;
  for (const chain of chains)
    if (chain !== '') layersSize += await committedSize(parts, parts.config.snapshotter, chain).catch(() => 0); // not unpacked: occupies nothing
  const users = (id: string) => parts.containers.list().filter((container) => container.record.imageId === id).length;
  return { layersSize, list: list.map((image) => ({ ...image, Containers: users(image.Id) })) };
}
