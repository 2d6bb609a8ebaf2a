/**
 * Durable replacement of a small file: data fsync, rename, directory fsync. A reader sees the old or the new content,
 * also after a power cut.
 */

import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';

export interface AtomicWriteOptions {
  readonly mode?: number;
  /** false: survives the death of the process but not of the machine (state that a reboot voids anyway). */
  readonly isDurable?: boolean;
}

export function writeFileAtomicSync(path: string, data: string | Uint8Array, options: AtomicWriteOptions = {}): void {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  const isDurable = options.isDurable ?? true;
  const bytes = typeof data === 'string' ? Buffer.from(data) : data;
  const fd = openSync(temporary, 'wx', options.mode ?? 0o644);
  try {
    let offset = 0;
    while (offset < bytes.length) offset += writeSync(fd, bytes, offset);
    if (isDurable) fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, path);
  if (isDurable) syncDirectorySync(dirname(path));
}

/** Makes names created, renamed or removed in the directory durable. */
export function syncDirectorySync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Makes a directory and those above it, so that their names survive a power cut. */
export function makeDirectorySync(path: string, mode: number): void {
  const first = mkdirSync(path, { recursive: true, mode });
  if (first === undefined) return;
  for (let made = resolve(path); made.length >= first.length; made = dirname(made)) syncDirectorySync(dirname(made));
}
