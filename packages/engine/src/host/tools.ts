/** Programs and files of the host that the engine needs, and the distribution's packages that bring them. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export type PackageManager = 'apt-get' | 'dnf' | 'apk' | 'pacman';

export interface HostTool {
  /** Program in the search path, or an absolute path. */
  readonly name: string;
  readonly reason: string;
  readonly packages: Readonly<Record<PackageManager, string>>;
}

const all = (name: string): Record<PackageManager, string> => ({ 'apt-get': name, dnf: name, apk: name, pacman: name });

/** What every engine needs. */
export const engineTools: readonly HostTool[] = [
  { name: 'runc', reason: 'runs containers', packages: all('runc') },
  { name: 'nft', reason: 'shows and repairs firewall rules by hand', packages: all('nftables') },
  {
    name: 'ip',
    reason: 'shows network namespaces and links by hand',
    packages: { ...all('iproute2'), dnf: 'iproute' },
  },
  {
    name: '/bin/busybox',
    reason: 'is the content of the image boxship/hello',
    packages: { 'apt-get': 'busybox-static', dnf: 'busybox', apk: 'busybox-static', pacman: 'busybox' },
  },
];

/** What the tests drive beside it (Debian's package names: the tests run on Debian). */
export const testTools: readonly HostTool[] = [
  ['dockerd', 'docker.io'],
  ['mmdebstrap', 'mmdebstrap'],
  ['containerd', 'containerd'],
  ['docker-registry', 'docker-registry'],
  ['skopeo', 'skopeo'],
  ['umoci', 'umoci'],
  ['iptables', 'iptables'],
  ['tmux', 'tmux'],
  ['curl', 'curl'],
  ['nc', 'netcat-openbsd'],
  ['socat', 'socat'],
  ['conntrack', 'conntrack'],
  ['ping', 'iputils-ping'],
  ['ps', 'procps'],
  ['/usr/lib/cni/bridge', 'containernetworking-plugins'],
  ['crun', 'crun'],
  ['criu', 'criu'],
  ['apparmor_parser', 'apparmor'],
  // a virtual machine with cgroup version 2: packages/tooling/vm
  ['qemu-system-x86_64', 'qemu-system-x86'],
  ['/vmlinuz', 'linux-image-cloud-amd64'],
  ['dig', 'bind9-dnsutils'],
  ['iperf3', 'iperf3'],
  ['dnsmasq', 'dnsmasq-base'],
  ['etcd', 'etcd-server'],
  ['/usr/lib/python3/dist-packages/docker/__init__.py', 'python3-docker'],
  ['docker-compose', 'docker-compose'],
  ['podman', 'podman'],
  ['strace', 'strace'],
  ['mkfs.btrfs', 'btrfs-progs'],
  ['dmsetup', 'dmsetup'],
  ['mkfs.erofs', 'erofs-utils'],
  ['fuse-overlayfs', 'fuse-overlayfs'],
  ['mount.fuse3', 'fuse3'],
].map(([name = '', packageName = '']) => ({ name, reason: 'is used by the tests', packages: all(packageName) }));

// a shell of an ordinary user, and some init systems, leave the sbin directories out
const extraDirectories = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/** The path of a program; undefined when the host has none. */
export function findProgram(name: string): string | undefined {
  if (name.startsWith('/')) return existsSync(name) ? name : undefined;
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...extraDirectories]) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // not here: the next directory
    }
  }
  return undefined;
}

export function findPackageManager(): PackageManager | undefined {
  return (['apt-get', 'dnf', 'apk', 'pacman'] as const).find((name) => findProgram(name) !== undefined);
}

/** True when PATH finds the binary without our extra directories; the engine adds them for its parts otherwise. */
export function completePath(path: string | undefined): string {
  const parts = (path ?? '').split(delimiter).filter((part) => part !== '');
  return [...parts, ...extraDirectories.filter((directory) => !parts.includes(directory))].join(delimiter);
}
