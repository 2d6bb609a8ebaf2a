/**
 * syncfs(2): everything written to the file system of a path is on the disk when it returns. One call after many files is
 * far cheaper than fsync on each. It blocks, so it runs on a pool thread.
 */
import { closeSync, openSync } from 'node:fs';
import { callAsync, declare, systemError } from './libc.ts';

const syncfs = declare('int syncfs(int fd)');

export async function syncFilesystem(path: string): Promise<void> {
  const fd = openSync(path, 'r');
  try {
    const { result, errno } = await callAsync(syncfs, fd);
    if (result < 0) throw systemError('syncfs', errno, path);
  } finally {
    closeSync(fd);
  }
}
