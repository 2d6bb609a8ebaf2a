/** The mount table of a process: /proc/PID/mountinfo (proc_pid_mountinfo(5)). */
import { readFileSync } from 'node:fs';

export interface MountInfo {
  readonly id: number;
  readonly parentId: number;
  readonly device: string; // major:minor
  /** The directory of the file system that is mounted. */
  readonly root: string;
  readonly mountPoint: string;
  readonly options: string;
  /** `shared:N`, `master:N` … */
  readonly optionalFields: readonly string[];
  readonly type: string;
  readonly source: string;
  readonly superOptions: string;
}

/** All mounts, in the order of mounting. */
export function readMountInfo(pid: number | 'self' = 'self'): MountInfo[] {
  return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'));
}

export function parseMountInfo(text: string): MountInfo[] {
  const mounts: MountInfo[] = [];
  for (const line of text.split('\n')) {
    const fields = line.split(' ');
    const dash = fields.indexOf('-', 6);
    if (dash < 0) continue; // the empty last line
    const field = (at: number) => fields[at] ?? '';
    mounts.push({
      id: Number(field(0)),
      parentId: Number(field(1)),
      device: field(2),
      root: unescapeOctal(field(3)),
      mountPoint: unescapeOctal(field(4)),
      options: field(5),
      optionalFields: fields.slice(6, dash),
      type: field(dash + 1),
      source: unescapeOctal(field(dash + 2)),
      superOptions: field(dash + 3),
    });
  }
  return mounts;
}

// the kernel writes space, tab, newline and backslash as three octal digits
function unescapeOctal(text: string): string {
  return text.includes('\\')
    ? text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
    : text;
}

/** Mounts at `path` or below it, the last mounted first: the order in which they can be unmounted. */
export function mountsUnder(path: string, mounts: readonly MountInfo[] = readMountInfo()): MountInfo[] {
  return mounts.filter((m) => m.mountPoint === path || m.mountPoint.startsWith(`${path}/`)).reverse();
}

/** Whether something is mounted exactly at `path` (absolute, without symlinks). */
export function isMountPoint(path: string, mounts: readonly MountInfo[] = readMountInfo()): boolean {
  return mounts.some((m) => m.mountPoint === path);
}
