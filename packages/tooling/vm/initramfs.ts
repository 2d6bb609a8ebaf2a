/**
 * What the machine starts from: a static busybox, the kernel's modules for the shared file system, and a script that makes
 * the host's root the machine's, read-only below a layer in memory, runs one command in it and switches off.
 */
import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type CpioEntry, cpio } from './cpio.ts';

const wanted = ['virtio_pci', 'virtiofs', 'overlay'];
const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
export const EXIT_MARK = 'virtual machine: command ended with ';

export interface InitramfsOptions {
  /** `/lib/modules/<release>` of the kernel. */
  readonly modules: string;
  readonly busybox: string;
  /** A shell command, run in the host's root. */
  readonly command: string;
  /** Absolute directory of the host. */
  readonly directory: string;
}

export function initramfs(options: InitramfsOptions): Buffer {
  const modules = inLoadingOrder(options.modules);
  const directories = ['bin', 'modules', 'proc', 'sys', 'dev', 'host', 'memory', 'root'];
  const entries: CpioEntry[] = [
    ...directories.map((path) => ({ path, mode: DIRECTORY })),
    { path: 'bin/busybox', mode: PROGRAM, content: readFileSync(options.busybox) },
    ...modules.map((path) => ({ path: `modules/${basename(path)}`, mode: PROGRAM, content: readFileSync(path) })),
    { path: 'init', mode: PROGRAM, content: Buffer.from(mountScript(modules.map((path) => basename(path)))) },
    { path: 'run-command', mode: PROGRAM, content: Buffer.from(runScript(options.busybox)) },
    {
      path: 'command',
      mode: PROGRAM,
      content: Buffer.from(`cd ${quote(options.directory)} || exit 1\n${options.command}\n`),
    },
  ];
  return cpio(entries);
}

/** Paths of the modules, each after those that it needs (modules.dep(5)). One that the kernel has built in has no file. */
function inLoadingOrder(directory: string): string[] {
  const lines = readFileSync(join(directory, 'modules.dep'), 'utf8').split('\n');
  const needs = new Map(
    lines.map((line) => {
      const [path = '', rest = ''] = line.split(':');
      return [path, rest.trim().split(' ').filter(Boolean)] as const;
    }),
  );
  const order: string[] = [];
  for (const name of wanted) {
    const path = [...needs.keys()].find((each) => basename(each).replace(/\.ko(\.\w+)?$/, '') === name);
    // modules.dep lists the nearest need first
    if (path !== undefined) for (const each of [...(needs.get(path) ?? []).toReversed(), path]) order.push(each);
  }
  return [...new Set(order)].map((path) => join(directory, path));
}

const quote = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const mountScript = (modules: readonly string[]): string => `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in ${modules.join(' ')}; do $b insmod /modules/$m; done
$b mount -t virtiofs -o ro host /host
$b mount -t tmpfs memory /memory; $b mkdir /memory/upper /memory/work
$b mount -t overlay overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work /root
$b cp /run-command /command /root/
$b mount --move /dev /root/dev; $b mkdir -p /root/dev/pts /root/dev/shm
$b mount -t proc proc /root/proc; $b mount -t sysfs sys /root/sys
$b mount -t cgroup2 cgroup /root/sys/fs/cgroup
$b mount -t devpts devpts /root/dev/pts; $b mount -t tmpfs shm /root/dev/shm
# file systems of their own: an overlay takes no directory of another overlay for its upper one. Not /tmp, where the
# files to be tested may be
$b mount -t tmpfs tmp /root/media; $b mount -t tmpfs run /root/run
for f in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do $b ln -s /proc/self/\${f#*:} /root/dev/\${f%%:*}; done
$b ip link set lo up
# not chroot: who enters the namespace of a container would find itself in the root of this one
exec $b switch_root /root /run-command
`;

const runScript = (busybox: string): string => `#!/bin/sh
b=${busybox}
export TMPDIR=/media
$b stty -F /dev/ttyS1 raw
/bin/sh /command < /dev/null > /dev/ttyS1 2>&1
echo "${EXIT_MARK}$?" > /dev/ttyS1
$b poweroff -f
`;
