/** List, remove and prune of volumes: the store plus what containers use. */
import { measureTree } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import { apiAtLeast, type VolumeResource, type VolumesPruneResponse } from '@boxship/engine-api';
import { usersOfVolume } from '../containers/volume-mounts.ts';
import { type ApiFilters, booleanFilter, matchesLabels, matchesPattern } from '../http/filters.ts';
import type { Parts } from '../parts.ts';
import { volumeResource } from './resource.ts';

export const volumeFilterKeys = ['dangling', 'driver', 'label', 'name'];

export function listVolumes(parts: Parts, filters: ApiFilters): VolumeResource[] {
  const isDangling = booleanFilter(filters, 'dangling');
  return parts.volumes
    .list()
    .filter(
      (volume) =>
        (filters.get('name')?.some((value) => matchesPattern(value, volume.name)) ?? true) &&
        (filters.get('driver')?.includes(volume.driver) ?? true) &&
        (isDangling === undefined || isDangling === (usersOfVolume(parts, volume.name).length === 0)) &&
        matchesLabels(filters, volume.labels),
    )
    .map(volumeResource);
}

/** @throws notFound, conflict when in use */
export function removeVolume(parts: Parts, name: string, isForced: boolean): void {
  let volume: ReturnType<typeof parts.volumes.get>;
  try {
    volume = parts.volumes.get(name);
  } catch (error) {
    if (isForced && BoxshipError.is(error, 'notFound')) return;
    throw error;
  }
  const users = usersOfVolume(parts, name);
  if (users.length > 0)
    throw new BoxshipError(
      'conflict',
      `remove ${name}: volume is in use - [${users.map((user) => user.id).join(', ')}]`,
    );
  parts.volumes.remove(name);
  parts.events.publish('volume', 'destroy', name, { driver: volume.driver });
}

/** Since 1.42 only anonymous ones, unless `all`. */
export async function pruneVolumes(
  parts: Parts,
  filters: ApiFilters,
  apiVersion: string,
): Promise<VolumesPruneResponse> {
  const isAll = !apiAtLeast(apiVersion, '1.42') || booleanFilter(filters, 'all') === true;
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const volume of parts.volumes.list()) {
    const isAnonymous = volume.labels !== null && Object.hasOwn(volume.labels, 'com.docker.volume.anonymous');
    if (!isAll && !isAnonymous) continue;
    if (usersOfVolume(parts, volume.name).length > 0 || !matchesLabels(filters, volume.labels)) continue;
    const { sizeBytes: size } = await measureTree(volume.mountpoint);
    removeVolume(parts, volume.name, true);
    reclaimed += size;
    deleted.push(volume.name);
  }
  parts.events.publish('volume', 'prune', '', { reclaimed: String(reclaimed) });
  return { VolumesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed };
}
