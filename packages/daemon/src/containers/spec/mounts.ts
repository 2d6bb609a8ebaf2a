/** The mounts of a container in the order the runtime makes them: kernel file systems, then the user's, then our files. */
import { existsSync } from 'node:fs';
import { posix } from 'node:path';
import type { RuntimeMount } from '@boxship/oci';
import type { ContainerFiles } from '../files.ts';
import type { ContainerRecord, MountRecord } from '../model.ts';

export interface MountContext {
  readonly record: ContainerRecord;
  readonly files: ContainerFiles;
  /** Sources of volumes and binds are final. */
  readonly mounts: readonly MountRecord[];
  readonly initPath: string | undefined;
  /** Shared memory of another container, or the host's. */
  readonly shmSource: string | undefined;
  readonly isCgroupWritable: boolean;
}

const kernelMounts = (isPrivileged: boolean, isCgroupWritable: boolean): RuntimeMount[] => [
  { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
  {
    destination: '/dev',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
  },
  {
    destination: '/dev/pts',
    type: 'devpts',
    source: 'devpts',
    options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
  },
  {
    destination: '/sys',
    type: 'sysfs',
    source: 'sysfs',
    options: ['nosuid', 'noexec', 'nodev', isPrivileged ? 'rw' : 'ro'],
  },
  {
    destination: '/sys/fs/cgroup',
    type: 'cgroup',
    source: 'cgroup',
    options: [isPrivileged || isCgroupWritable ? 'rw' : 'ro', 'nosuid', 'noexec', 'nodev'],
  },
  { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
];

export function planMounts(context: MountContext): RuntimeMount[] {
  const { record, files, mounts } = context;
  const { hostConfig } = record;
  const destinations = new Set(mounts.map((mount) => mount.destination));
  for (const target of Object.keys(hostConfig.Tmpfs ?? {})) destinations.add(posix.normalize(target));
  const base = kernelMounts(hostConfig.Privileged, context.isCgroupWritable);
  base.push(sharedMemory(context));
  const planned = base.filter((mount) => !destinations.has(mount.destination) || mount.destination === '/proc');
  if (hostConfig.IpcMode === 'host' && !destinations.has('/dev/mqueue') && existsSync('/dev/mqueue'))
    replace(planned, bind('/dev/mqueue', '/dev/mqueue', ['rbind', 'nosuid', 'noexec', 'nodev']));
  if (hostConfig.PidMode === 'host' && hostConfig.Privileged)
    replace(planned, {
      destination: '/proc',
      type: 'bind',
      source: '/proc',
      options: ['rbind', 'nosuid', 'noexec', 'nodev'],
    });
  if (context.initPath !== undefined) planned.push(bind('/sbin/docker-init', context.initPath, ['bind', 'ro']));
  const users = [...mounts.map(userMount), ...tmpfsMounts(hostConfig.Tmpfs ?? {})];
  planned.push(...users.sort((a, b) => depth(a.destination) - depth(b.destination)));
  const access = hostConfig.ReadonlyRootfs ? ['ro'] : [];
  for (const [destination, source] of [
    ['/etc/resolv.conf', files.resolvConf],
    ['/etc/hostname', files.hostname],
    ['/etc/hosts', files.hosts],
  ] as const)
    if (!destinations.has(destination)) planned.push(bind(destination, source, ['rbind', 'rprivate', ...access]));
  return planned;
}

const depth = (path: string): number => path.split('/').filter((part) => part !== '').length;

const bind = (destination: string, source: string, options: readonly string[]): RuntimeMount => ({
  destination,
  type: 'bind',
  source,
  options,
});

function replace(mounts: RuntimeMount[], mount: RuntimeMount): void {
  const index = mounts.findIndex((candidate) => candidate.destination === mount.destination);
  if (index >= 0) mounts[index] = mount;
}

function sharedMemory({ record, shmSource }: MountContext): RuntimeMount {
  if (shmSource !== undefined) return bind('/dev/shm', shmSource, ['rbind', 'nosuid', 'noexec', 'nodev']);
  const options = ['nosuid', 'noexec', 'nodev', 'mode=1777', `size=${record.hostConfig.ShmSize}`];
  return { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options };
}

function userMount(mount: MountRecord): RuntimeMount {
  if (mount.type === 'tmpfs') return tmpfs(mount.destination, tmpfsOptions(mount));
  const isRecursive = mount.spec?.BindOptions?.NonRecursive !== true;
  const options = [isRecursive ? 'rbind' : 'bind', mount.propagation === '' ? 'rprivate' : mount.propagation];
  if (!mount.isReadWrite) options.push('ro');
  return bind(mount.destination, mount.source, options);
}

const tmpfs = (destination: string, options: readonly string[]): RuntimeMount => ({
  destination,
  type: 'tmpfs',
  source: 'tmpfs',
  options,
});

function tmpfsOptions(mount: MountRecord): string[] {
  const { SizeBytes = 0, Mode = 0 } = mount.spec?.TmpfsOptions ?? {};
  return [
    'noexec',
    'nosuid',
    'nodev',
    'rprivate',
    ...(mount.isReadWrite ? [] : ['ro']),
    ...(SizeBytes > 0 ? [`size=${SizeBytes}`] : []),
    ...(Mode > 0 ? [`mode=${Mode.toString(8)}`] : []),
  ];
}

/** `--tmpfs`: the user's options come over the safe defaults; a later word undoes an earlier one. */
function tmpfsMounts(mounts: Readonly<Record<string, string>>): RuntimeMount[] {
  return Object.entries(mounts).map(([target, text]) => {
    const asked = text.split(',').filter((option) => option !== '');
    const opposite: Readonly<Record<string, string>> = { noexec: 'exec', nosuid: 'suid', nodev: 'dev' };
    const defaults = ['noexec', 'nosuid', 'nodev'].filter((option) => !asked.includes(opposite[option] ?? ''));
    return tmpfs(posix.normalize(target), [...new Set([...defaults, 'rprivate', ...asked])]);
  });
}
