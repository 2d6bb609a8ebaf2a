/** How much a tree occupies. */
import { closeSync, constants, fstatSync, openSync, type Stats } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { openAt } from '@boxship/linux';
import { listAt, statAt } from '../apply/remove-tree.ts';
import { bytesOf } from '../tar/entry.ts';
import type { TreeUsage } from './calls.ts';

const openDirectory = constants.O_RDONLY | constants.O_DIRECTORY;

export function measureTreeSync(path: string): TreeUsage {
  const seen = new Set<string>();
  let sizeBytes = 0;
  let inodes = 0;
  const count = (stat: Stats): void => {
    if (stat.nlink > 1 && !stat.isDirectory()) {
      const key = `${stat.dev}:${stat.ino}`;
      if (seen.has(key)) return;
      seen.add(key);
    }
    inodes++;
    sizeBytes += stat.blocks * 512;
  };
  const walk = (fd: number): void => {
    for (const name of listAt(fd)) {
      const stat = statAt(fd, name);
      if (stat === undefined) continue; // removed meanwhile by the container that owns the tree
      count(stat);
      if (!stat.isDirectory()) continue;
      let child: number;
      try {
        child = openAt(fd, bytesOf(name), openDirectory);
      } catch (error) {
        if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(String(BoxshipError.from(error).details['code']))) continue; // replaced meanwhile
        throw error;
      }
      try {
        walk(child);
      } finally {
        closeSync(child);
      }
    }
  };
  const root = openSync(path, openDirectory);
  try {
    count(fstatSync(root));
    walk(root);
  } finally {
    closeSync(root);
  }
  return { inodes, sizeBytes };
}
