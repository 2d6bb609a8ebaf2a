/**
 * Which device of the pool a snapshot's directory stands for: the file `device` in it, written before the device is made, so
 * that none is ever without a directory that tells of it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomicSync } from '@boxship/base';
import type { SnapshotUsage } from '../snapshotter.ts';

export interface DeviceRecord {
  /** Its number in the pool. */
  readonly device: number;
  readonly sizeBytes: number;
  /** What the file system held when the snapshot was made. */
  readonly before?: SnapshotUsage;
  /** What it held when the snapshot was committed. */
  readonly after?: SnapshotUsage;
}

const name = 'device';

export function writeDevice(directory: string, record: DeviceRecord): void {
  writeFileAtomicSync(join(directory, name), JSON.stringify(record));
}

/** Undefined for a directory that was given up before it had a device. */
export function readDevice(directory: string): DeviceRecord | undefined {
  const path = join(directory, name);
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as DeviceRecord) : undefined;
}

/** The numbers that all directories below `root` tell of. */
export function devicesBelow(root: string): number[] {
  return readdirSync(root).flatMap((each) => readDevice(join(root, each))?.device ?? []);
}
