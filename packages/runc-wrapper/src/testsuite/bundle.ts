/** A bundle to test runtimes with: a root file system of one static busybox, a specification with few namespaces. */
import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeSpec } from '@boxship/oci';

const applets = [
  'sh',
  'true',
  'false',
  'sleep',
  'cat',
  'echo',
  'ls',
  'kill',
  'stty',
  'tty',
  'dd',
  'yes',
  'head',
  'seq',
  'usleep',
  'id',
  'wc',
  'tr',
  'ps',
];
const capabilities = ['CAP_KILL', 'CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_SETUID', 'CAP_SETGID', 'CAP_NET_BIND_SERVICE'];

export const testPath = 'PATH=/bin:/sbin:/usr/bin';

/** Makes a root file system that holds busybox (a static one, by default the distribution's). */
export function makeRootfs(directory: string, busybox = '/bin/busybox'): string {
  for (const name of ['bin', 'proc', 'sys', 'dev', 'tmp', 'etc', 'root'])
    mkdirSync(join(directory, name), { recursive: true });
  copyFileSync(busybox, join(directory, 'bin/busybox'));
  for (const applet of applets) symlinkSync('busybox', join(directory, 'bin', applet));
  return directory;
}

export interface TestSpec {
  readonly rootfs: string;
  readonly args: readonly string[];
  readonly cgroupsPath: string;
  readonly isTerminal?: boolean;
  readonly memoryLimit?: number;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly isHostPid?: boolean;
}

export function testSpec(options: TestSpec): RuntimeSpec {
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: options.isTerminal ?? false,
      user: { uid: 0, gid: 0 },
      args: options.args,
      env: [testPath, 'TERM=xterm'],
      cwd: '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: true,
    },
    root: { path: options.rootfs, readonly: false },
    hostname: 'test',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'mode=755', 'size=65536k'] },
      {
        destination: '/dev/pts',
        type: 'devpts',
        source: 'devpts',
        options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620'],
      },
    ],
    ...(options.annotations && { annotations: options.annotations }),
    linux: {
      cgroupsPath: options.cgroupsPath,
      namespaces: [
        ...(options.isHostPid === true ? [] : [{ type: 'pid' } as const]),
        { type: 'mount' },
        { type: 'ipc' },
        { type: 'uts' },
        { type: 'network' },
      ],
      resources: {
        devices: [{ allow: true, access: 'rwm' }],
        ...(options.memoryLimit !== undefined && { memory: { limit: options.memoryLimit } }),
      },
    },
  };
}

/** Writes a bundle directory; gives its path. */
export function makeBundle(directory: string, spec: RuntimeSpec): string {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, 'config.json'), JSON.stringify(spec), { mode: 0o600 });
  return directory;
}
