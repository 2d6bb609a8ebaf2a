/** A volume as the API shows it. */
import type { VolumeResource } from '@boxship/engine-api';
import type { Volume } from './store.ts';

export const volumeResource = (volume: Volume): VolumeResource => ({
  CreatedAt: volume.createdAt,
  Driver: volume.driver,
  Labels: volume.labels === null ? null : { ...volume.labels },
  Mountpoint: volume.mountpoint,
  Name: volume.name,
  Options: volume.options === null ? null : { ...volume.options },
  Scope: 'local',
});
