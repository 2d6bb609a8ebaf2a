/** `docker diff`: what the container's own layer adds, changes and deletes. */
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BoxshipError } from '@boxship/base';
import type { Container } from './model.ts';
import { layerDirectories } from './rootfs-files.ts';

export interface Change {
  readonly Path: string;
  /** 0 changed, 1 added, 2 deleted. */
  readonly Kind: 0 | 1 | 2;
}

/** @throws unimplemented for a snapshotter without layers */
export async function containerChanges(container: Container): Promise<Change[] | null> {
  const { rootMounts } = container.record;
  if (rootMounts[0]?.type !== 'overlay')
    throw new BoxshipError(
      'unimplemented',
      `changes cannot be told with the snapshotter ${container.record.snapshotter}`,
    );
  const [upper = '', ...lowers] = layerDirectories(rootMounts);
  const changes: Change[] = [];
  await walk(upper, lowers, '', changes);
  changes.sort((a, b) => (a.Path < b.Path ? -1 : 1));
  return changes.length === 0 ? null : changes;
}

async function walk(upper: string, lowers: readonly string[], path: string, changes: Change[]): Promise<void> {
  for (const entry of await readdir(join(upper, path), { withFileTypes: true })) {
    const name = `${path}/${entry.name}`;
    changes.push({ Path: name, Kind: await kindOf(upper, lowers, name, entry) });
    if (entry.isDirectory()) await walk(upper, lowers, name, changes);
  }
}

async function kindOf(upper: string, lowers: readonly string[], name: string, entry: Dirent): Promise<Change['Kind']> {
  // a whiteout is a device with number 0:0
  if (entry.isCharacterDevice() && (await lstat(join(upper, name))).rdev === 0) return 2;
  for (const lower of lowers)
    if (
      await lstat(join(lower, name)).then(
        () => true,
        () => false,
      )
    )
      return 0;
  return 1;
}
