/** Mounting a set of mounts for the time of some work, at a place of its own. */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mount, unmount } from '@boxship/linux';
import type { Mount } from './snapshotter.ts';

/** Mounts in order at `target`. @throws the error of the first mount that fails, after undoing those before it */
export function mountAll(mounts: readonly Mount[], target: string): void {
  const done: string[] = [];
  try {
    for (const one of mounts) {
      const place = one.target === undefined || one.target === '' ? target : join(target, one.target);
      mount({ type: one.type, source: one.source, target: place, options: one.options });
      done.push(place);
    }
  } catch (error) {
    for (const place of done.reverse()) unmount(place, { isLazy: true });
    throw error;
  }
}

/** Runs `work` with the path of the mounted tree. Unmounts in any case, lazily if somebody still looks at it. */
export async function withMounts<T>(mounts: readonly Mount[], work: (path: string) => Promise<T>): Promise<T> {
  const place = mkdtempSync(join(tmpdir(), 'boxship-mount-'));
  try {
    mountAll(mounts, place);
    try {
      return await work(place);
    } finally {
      for (let i = 0; i < mounts.length; i++) unmount(place, { isLazy: true });
    }
  } finally {
    rmdirSync(place); // refuses to remove anything but an empty directory, should an unmount have failed
  }
}
