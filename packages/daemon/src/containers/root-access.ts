/**
 * The container's files as the container sees them, volumes included: through its init while it runs, else through a mount
 * made for the occasion. Paths below the root given out are only ever opened confined to it.
 */
import { closeSync, constants, openSync, rmdirSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import { mount, O_PATH, openInRoot, unmountAll } from '@boxship/linux';
import type { Parts } from '../parts.ts';
import { type Container, isTaskAlive } from './model.ts';
import { mountTemporarily } from './rootfs.ts';

export interface ContainerRoot extends AsyncDisposable {
  readonly path: string;
  /** Reached through the running container: kernel file systems are mounted in it. */
  readonly isLive: boolean;
}

/** In the container's turn while it is stopped, so that it cannot be started over the mount. */
export async function openRoot(parts: Parts, container: Container): Promise<ContainerRoot> {
  if (isTaskAlive(container) && container.record.state.Pid > 0)
    return { path: `/proc/${container.record.state.Pid}/root`, isLive: true, [Symbol.asyncDispose]: async () => {} };
  const turn = await parts.mutex.acquire(container.id);
  let path: string | undefined;
  const release = async () => {
    try {
      if (path !== undefined) {
        unmountAll(path);
        rmdirSync(path);
      }
    } finally {
      turn[Symbol.dispose]();
    }
  };
  try {
    path = mountTemporarily(parts, container.record.rootMounts);
    mountVolumes(path, container);
    return { path, isLive: false, [Symbol.asyncDispose]: release };
  } catch (error) {
    await release();
    throw error;
  }
}

function mountVolumes(root: string, container: Container): void {
  const rootFd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const mounts = container.record.mounts.filter((entry) => entry.type !== 'tmpfs');
    for (const entry of mounts.sort((a, b) => a.destination.length - b.destination.length)) {
      let fd: number;
      try {
        fd = openInRoot(rootFd, entry.destination, O_PATH);
      } catch (error) {
        if (BoxshipError.is(error, 'notFound')) continue; // its mount point is made by the first start
        throw error;
      }
      try {
        const options = ['rbind', ...(entry.isReadWrite ? [] : ['ro'])];
        mount({ type: 'bind', source: entry.source, target: `/proc/self/fd/${fd}`, options });
      } finally {
        closeSync(fd);
      }
    }
  } finally {
    closeSync(rootFd);
  }
}
