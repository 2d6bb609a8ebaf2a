/**
 * `/etc/hosts` of containers, with Docker's lines. The file is bind-mounted, so it is always changed in place (same inode), and
 * only our own lines are: what a process in the container wrote stays.
 */
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';

const head = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'ff00::0\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
];

/** `IP<tab>NAMES`. */
export function hostsLine(address: string, names: string): string {
  return `${address}\t${names}`;
}

/** A whole new file: Docker's head and the given lines. */
export function writeHostsFile(path: string, lines: readonly string[]): void {
  overwrite(path, `${[...head, ...lines].join('\n')}\n`);
}

/** Takes out and puts in whole lines. A file that is gone belonged to a container that is being removed. */
export function changeHostsFile(path: string, change: { remove?: readonly string[]; add?: readonly string[] }): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const removed = new Set(change.remove);
  const lines = text.split('\n').filter((line) => !removed.has(line));
  if (lines.at(-1) === '') lines.pop();
  for (const line of change.add ?? []) if (!lines.includes(line)) lines.push(line);
  const changed = `${lines.join('\n')}\n`;
  if (changed !== text) overwrite(path, changed);
}

/** In place. Written first and cut afterwards, so that a reader never meets an empty file. */
export function overwrite(path: string, text: string): void {
  const bytes = Buffer.from(text);
  const target = openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o644);
  try {
    let offset = 0;
    while (offset < bytes.length) offset += writeSync(target, bytes, offset, bytes.length - offset, offset);
    ftruncateSync(target, bytes.length);
  } finally {
    closeSync(target);
  }
}
