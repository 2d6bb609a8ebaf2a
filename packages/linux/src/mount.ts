/**
 * mount(2) and umount2(2) with options as fstab and containerd write them. Overlays with more layers than fit into the one
 * page that mount(2) copies are mounted with paths relative to the layers' common directory.
 */
import { spawnSync } from 'node:child_process';
import { BoxshipError } from '@boxship/base';
import { check, declare, errnoName, lastErrno, systemError } from './libc.ts';
import { mountsUnder } from './mountinfo.ts';

const mountCall = declare(
  'int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)',
);
const umount2 = declare('int umount2(const char *target, int flags)');

const flags = {
  ro: 0x1,
  nosuid: 0x2,
  nodev: 0x4,
  noexec: 0x8,
  sync: 0x10,
  remount: 0x20,
  mand: 0x40,
  dirsync: 0x80,
  nosymfollow: 0x100,
  noatime: 0x400,
  nodiratime: 0x800,
  bind: 0x1000,
  rbind: 0x5000,
  silent: 0x8000,
  relatime: 0x200000,
  strictatime: 0x1000000,
  lazytime: 0x2000000,
} as const;
const clearing: Readonly<Record<string, number>> = {
  rw: flags.ro,
  suid: flags.nosuid,
  dev: flags.nodev,
  exec: flags.noexec,
  async: flags.sync,
  atime: flags.noatime,
  diratime: flags.nodiratime,
  norelatime: flags.relatime,
  nostrictatime: flags.strictatime,
  loud: flags.silent,
};
const MS_REC = 0x4000;
const propagation: Readonly<Record<string, number>> = {
  unbindable: 0x20000,
  private: 0x40000,
  slave: 0x80000,
  shared: 0x100000,
};
const MNT_DETACH = 2;
// the kernel copies one page and wants a terminating zero in it
const MAX_DATA = 4095;
const fuseMs = 10_000;

export interface MountSpec {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options?: readonly string[];
}

interface Parsed {
  readonly flags: number;
  readonly propagation: readonly number[];
  readonly data: string[];
}

function parseOptions(options: readonly string[]): Parsed {
  let bits = 0;
  const propagate: number[] = [];
  const data: string[] = [];
  for (const option of options) {
    const recursive = option.startsWith('r') ? propagation[option.slice(1)] : undefined;
    if (option === 'defaults') continue;
    if (Object.hasOwn(flags, option)) bits |= flags[option as keyof typeof flags];
    else if (clearing[option] !== undefined) bits &= ~(clearing[option] ?? 0);
    else if (propagation[option] !== undefined) propagate.push(propagation[option] ?? 0);
    else if (recursive !== undefined) propagate.push(recursive | MS_REC);
    else data.push(option);
  }
  return { flags: bits, propagation: propagate, data };
}

/** Mounts. Bind mounts with further flags (`ro` …) get them by a second call, as the kernel wants it. */
export function mount(spec: MountSpec): void {
  const parsed = parseOptions(spec.options ?? []);
  const isBind = spec.type === 'bind' || (parsed.flags & flags.bind) !== 0;
  const type = spec.type === 'bind' ? 'none' : spec.type;
  const bits = isBind ? parsed.flags | flags.bind : parsed.flags;
  const data = parsed.data.join(',');
  const fuse = /^fuse3?\.(.+)$/.exec(type)?.[1];
  if (fuse !== undefined) mountFuse(fuse, spec);
  else if (data.length > MAX_DATA && type === 'overlay') mountLongOverlay(spec, bits, parsed.data);
  else if (data.length > MAX_DATA)
    throw new BoxshipError('invalidArgument', `mount ${spec.target}: options are longer than ${MAX_DATA} bytes`);
  else call(spec.source, spec.target, type, bits, data);
  const beyondBind = bits & ~(flags.bind | MS_REC);
  if (isBind && beyondBind !== 0 && (bits & flags.remount) === 0)
    call('', spec.target, '', flags.bind | flags.remount | beyondBind, '');
  for (const change of parsed.propagation) call('', spec.target, '', change, '');
}

function call(source: string, target: string, type: string, bits: number, data: string): void {
  check(
    mountCall(source, target, type, bits >>> 0, data === '' ? null : data),
    'mount',
    `${source || type} at ${target}`,
  );
}

/** A file system that is a program: mount.fuse3(8) starts it, and it goes on after the helper has ended. */
function mountFuse(program: string, { source, target, options = [] }: MountSpec): void {
  const { status, stderr, error } = spawnSync('mount.fuse3', [source, target, '-o', options.join(','), '-t', program], {
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: fuseMs,
    encoding: 'utf8',
  });
  if (error !== undefined || status !== 0)
    throw new BoxshipError('internal', `mount.fuse3 -t ${program} at ${target}: ${error?.message ?? stderr.trim()}`);
}

const pathOptions = ['lowerdir', 'upperdir', 'workdir'];

/**
 * The kernel resolves relative layer paths at mount time against the working directory. Nothing else runs between the two
 * chdir calls: both are in this synchronous function, and no part of the project uses relative paths on other threads.
 */
function mountLongOverlay(spec: MountSpec, bits: number, options: readonly string[]): void {
  const lower =
    options
      .find((o) => o.startsWith('lowerdir='))
      ?.slice('lowerdir='.length)
      .split(':') ?? [];
  const base = commonDirectory(lower);
  const relative = options.map((option) => {
    const [name = '', value = ''] = option.split(/=(.*)/s);
    if (!pathOptions.includes(name)) return option;
    const paths = value.split(':').map((path) => (path.startsWith(base) ? path.slice(base.length) : path));
    return `${name}=${paths.join(':')}`;
  });
  const data = relative.join(',');
  if (data.length > MAX_DATA)
    throw new BoxshipError(
      'invalidArgument',
      `overlay at ${spec.target}: ${lower.length} layers do not fit into ${MAX_DATA} bytes`,
    );
  const before = process.cwd();
  process.chdir(base);
  try {
    call(spec.source, spec.target, 'overlay', bits, data);
  } finally {
    process.chdir(before);
  }
}

function commonDirectory(paths: readonly string[]): string {
  let common = paths[0] ?? '/';
  for (const path of paths) while (!path.startsWith(common)) common = common.slice(0, -1);
  return common.slice(0, common.lastIndexOf('/') + 1);
}

/**
 * Unmounts the topmost mount at `target`; false when nothing is mounted there. `isLazy`: detach now, free when unused.
 */
export function unmount(target: string, options: { readonly isLazy?: boolean } = {}): boolean {
  if (umount2(target, options.isLazy === true ? MNT_DETACH : 0) >= 0) return true;
  const errno = lastErrno();
  const name = errnoName(errno);
  if (name === 'EINVAL' || name === 'ENOENT') return false;
  throw systemError('umount', errno, target);
}

/** Unmounts everything at `target` and below it. */
export function unmountAll(target: string, options: { readonly isLazy?: boolean } = { isLazy: true }): void {
  for (const entry of mountsUnder(target)) unmount(entry.mountPoint, options);
}
