/**
 * Where the cgroups of a process are. Version 1: one directory per controller; hybrid: version 1 controllers with a version
 * 2 tree that has none; version 2: one directory.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { readMountInfo } from '../mountinfo.ts';

export type CgroupVersion = 1 | 2;

export interface CgroupPaths {
  readonly version: CgroupVersion;
  /** Version 2: the one directory. */
  readonly unified: string | undefined;
  /** Version 1: controller → directory. */
  readonly controllers: ReadonlyMap<string, string>;
}

let cached:
  | { version: CgroupVersion; unified: string | undefined; mounts: Map<string, { point: string; root: string }> }
  | undefined;

function hierarchy() {
  if (cached !== undefined) return cached;
  const mounts = new Map<string, { point: string; root: string }>();
  let unified: string | undefined;
  for (const m of readMountInfo()) {
    if (m.type === 'cgroup2') unified ??= m.mountPoint;
    if (m.type !== 'cgroup') continue;
    for (const option of m.superOptions.split(',')) {
      const name = option.startsWith('name=') ? option : option.replace(/^rw$|^ro$/, '');
      if (name !== '') mounts.set(name, { point: m.mountPoint, root: m.root });
    }
  }
  cached = { version: mounts.has('memory') || mounts.has('pids') || mounts.has('cpu') ? 1 : 2, unified, mounts };
  return cached;
}

/** 1 when controllers are mounted one by one (also hybrid), else 2. */
export function cgroupVersion(): CgroupVersion {
  return hierarchy().version;
}

/** The cgroups of a process as this process sees them; undefined when it has ended. */
export function cgroupsOf(pid: number): CgroupPaths | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return undefined; // ended
  }
  const { version, unified, mounts } = hierarchy();
  const controllers = new Map<string, string>();
  let own: string | undefined;
  for (const line of text.split('\n')) {
    const match = /^(\d+):([^:]*):(.*)$/.exec(line);
    if (match === null) continue;
    const [, id, names = '', path = '/'] = match;
    if (id === '0' && names === '') own = unified === undefined ? undefined : join(unified, path);
    for (const name of names.split(',')) {
      const at = mounts.get(name);
      if (at !== undefined) controllers.set(name, join(at.point, relativeTo(at.root, path)));
    }
  }
  return { version, unified: own, controllers };
}

// in a container the mount shows a part of the hierarchy: the part's own path is not repeated
const relativeTo = (root: string, path: string) =>
  root !== '/' && path.startsWith(root) ? path.slice(root.length) : path;
const join = (point: string, path: string) => (path === '/' || path === '' ? point : `${point}${path}`);

/** The directory whose `cgroup.procs` lists the processes. */
export function processDirectory(paths: CgroupPaths): string | undefined {
  if (paths.version === 2) return paths.unified;
  return paths.controllers.get('pids') ?? paths.controllers.get('memory') ?? [...paths.controllers.values()][0];
}

/** Pids in the cgroup and below it; empty when it is gone. */
export function cgroupPids(paths: CgroupPaths): number[] {
  const directory = processDirectory(paths);
  return directory === undefined ? [] : [...new Set(collect(directory))];
}

function collect(directory: string): number[] {
  let pids: number[];
  try {
    pids = readFileSync(`${directory}/cgroup.procs`, 'latin1').split('\n').filter(Boolean).map(Number);
  } catch {
    return []; // removed meanwhile, or a threaded cgroup, whose processes its parent lists
  }
  for (const entry of readdirSync(directory, { withFileTypes: true }))
    if (entry.isDirectory()) pids.push(...collect(`${directory}/${entry.name}`));
  return pids;
}
