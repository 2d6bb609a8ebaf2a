/** Volumes of one container: made at its creation, filled from the image, released at its removal. */
import { readdirSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import type { Parts } from '../parts.ts';
import { fillFromImage } from '../volumes/fill.ts';
import type { Container, MountRecord } from './model.ts';
import { mountTemporarily, unmountTemporary } from './rootfs.ts';

/** Makes missing volumes and gives the mounts with their sources filled in. */
export async function materializeVolumes(parts: Parts, container: Container): Promise<MountRecord[]> {
  const { mounts } = container.record;
  const toFill: { source: string; destination: string }[] = [];
  const done = mounts.map((mount) => {
    if (mount.type !== 'volume') return mount;
    const { volume, isNew } = parts.volumes.create({
      ...(mount.name === undefined ? {} : { Name: mount.name }),
      ...(mount.driver === undefined ? {} : { Driver: mount.driver }),
      ...volumeExtras(mount),
    });
    if (isNew) parts.events.publish('volume', 'create', volume.name, { driver: volume.driver });
    parts.volumes.prepare(volume);
    const subpath = mount.spec?.VolumeOptions?.Subpath;
    const source = subpath === undefined || subpath === '' ? volume.mountpoint : `${volume.mountpoint}/${subpath}`;
    const isEmpty = subpath === undefined && readdirSync(volume.mountpoint).length === 0;
    if (isEmpty && mount.isNoCopy !== true) toFill.push({ source, destination: mount.destination });
    return { ...mount, source };
  });
  if (toFill.length > 0) await fillVolumes(parts, container, toFill);
  return done;
}

function volumeExtras(mount: MountRecord) {
  const options = mount.spec?.VolumeOptions;
  const labels = { ...options?.Labels, ...(mount.isAnonymous === true ? { 'com.docker.volume.anonymous': '' } : {}) };
  return {
    ...(options?.DriverConfig?.Options === undefined ? {} : { DriverOpts: options.DriverConfig.Options }),
    ...(Object.keys(labels).length === 0 ? {} : { Labels: labels }),
  };
}

async function fillVolumes(
  parts: Parts,
  container: Container,
  volumes: readonly { source: string; destination: string }[],
): Promise<void> {
  const root = mountTemporarily(parts, container.record.rootMounts);
  try {
    for (const { source, destination } of volumes) await fillFromImage(root, destination, source);
  } finally {
    unmountTemporary(root);
  }
}

/** Containers whose mounts name the volume. */
export function usersOfVolume(parts: Parts, name: string): Container[] {
  return parts.containers
    .list()
    .filter((container) => container.record.mounts.some((mount) => mount.type === 'volume' && mount.name === name));
}

/** Removes the container's own anonymous volumes that nobody else mounts. */
export function releaseVolumes(parts: Parts, container: Container, removeAnonymous: boolean): void {
  if (!removeAnonymous) return;
  for (const mount of container.record.mounts) {
    if (mount.type !== 'volume' || mount.isAnonymous !== true || mount.name === undefined) continue;
    if (usersOfVolume(parts, mount.name).some((user) => user !== container)) continue;
    try {
      parts.volumes.remove(mount.name);
      parts.events.publish('volume', 'destroy', mount.name, { driver: mount.driver ?? 'local' });
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound')) throw error; // removed by hand
    }
  }
}

export function publishVolumeEvents(parts: Parts, container: Container, action: 'mount' | 'unmount'): void {
  for (const mount of container.record.mounts) {
    if (mount.type !== 'volume' || mount.name === undefined) continue;
    const base = { container: container.id, driver: mount.driver ?? 'local' };
    const more = {
      destination: mount.destination,
      propagation: mount.propagation,
      'read/write': String(mount.isReadWrite),
    };
    parts.events.publish('volume', action, mount.name, action === 'mount' ? { ...base, ...more } : base);
  }
}
