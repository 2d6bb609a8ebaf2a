/**
 * Fills an empty volume with what the image has at the mount point. The source is found inside the container's root, so
 * that a link in the image cannot lead to the host.
 */
import { closeSync, constants, openSync } from 'node:fs';
import { copyTree } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import { openInRoot } from '@boxship/linux';

/** Copies the contents of directory `path` inside `root` into the directory `target`. Nothing happens if it is none. */
export async function fillFromImage(root: string, path: string, target: string): Promise<void> {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    let from: number;
    try {
      from = openInRoot(rootFd, path, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (error) {
      const code = BoxshipError.is(error) ? error.details['code'] : undefined;
      if (code === 'ENOENT' || code === 'ENOTDIR') return; // the image has nothing there
      throw error;
    }
    try {
      // descriptors belong to the process, so the worker finds the directory under the same name
      await copyTree(`/proc/self/fd/${from}/.`, target);
    } finally {
      closeSync(from);
    }
  } finally {
    closeSync(rootFd);
  }
}
