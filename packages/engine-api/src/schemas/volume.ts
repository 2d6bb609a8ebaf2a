/** Volumes: the create body and the answers. */
import { type Static, Type } from 'typebox';
import { optionalString, StringMap } from './primitives.ts';

export const VolumeCreateSchema = Type.Object({
  Name: optionalString,
  Driver: optionalString,
  DriverOpts: Type.Optional(StringMap),
  Labels: Type.Optional(StringMap),
});
export type VolumeCreateRequest = Static<typeof VolumeCreateSchema>;

export interface VolumeResource {
  CreatedAt: string;
  Driver: string;
  Labels: Record<string, string> | null;
  Mountpoint: string;
  Name: string;
  Options: Record<string, string> | null;
  Scope: 'local' | 'global';
  Status?: Record<string, unknown>;
  UsageData?: { RefCount: number; Size: number };
}

export interface VolumeListResponse {
  Volumes: VolumeResource[];
  Warnings: string[] | null;
}

export interface VolumesPruneResponse {
  VolumesDeleted: string[] | null;
  SpaceReclaimed: number;
}
