/**
 * Which volume of the pool a snapshot's directory stands for: the file `volume` in it, written before the volume is made, so
 * that none is ever without a directory that tells of it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomicSync } from '@boxship/base';
import type { SnapshotUsage } from '../snapshotter.ts';
import type { Volume } from './volume-pool.ts';

export interface VolumeRecord extends Volume {
  /** What the file system held when the snapshot was made. */
  readonly before?: SnapshotUsage;
  /** What it held when the snapshot was committed. */
  readonly after?: SnapshotUsage;
}

const file = 'volume';

export function writeVolume(directory: string, record: VolumeRecord): void {
  writeFileAtomicSync(join(directory, file), JSON.stringify(record));
}

/** Undefined for a directory that was given up before it had a volume. */
export function readVolume(directory: string): VolumeRecord | undefined {
  const path = join(directory, file);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as VolumeRecord) : undefined;
}

/** What all directories below `root` tell of. */
export function volumesBelow(root: string): VolumeRecord[] {
  return readdirSync(root).flatMap((name) => readVolume(join(root, name)) ?? []);
}
