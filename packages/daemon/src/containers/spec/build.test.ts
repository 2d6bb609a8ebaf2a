import type { HostConfigRequest } from '@boxship/engine-api';
import { describe, expect, it } from 'vitest';
import { parseDaemonConfig } from '../../config.ts';
import { capabilityNames, readHostFacts } from '../../system/host-facts.ts';
import { containerFiles } from '../files.ts';
import { completeHostConfig } from '../host-config.ts';
import { mergeConfig } from '../merge-config.ts';
import { type ContainerRecord, initialState } from '../model.ts';
import { planMountPoints } from '../mount-points.ts';
import { buildSpec } from './build.ts';

const id = 'cd'.repeat(32);
const daemon = parseDaemonConfig(['--config-file', '/dev/null', '--data-root', '/root', '--default-ulimit', 'core=0'], {
  loggerPath: '',
});
const host = {
  ...readHostFacts(),
  architecture: 'amd64',
  kernelVersion: '6.1.0',
  cgroupVersion: 1 as const,
  capabilities: capabilityNames,
  hasSeccomp: true,
  hasAppArmor: false,
  cpuCount: 4,
};

function spec(request: HostConfigRequest = {}, config: Parameters<typeof mergeConfig>[0] = {}) {
  const hostConfig = completeHostConfig(request, { config: daemon, host, apiVersion: '1.50' });
  const merged = mergeConfig({ Cmd: ['sleep', '1'], ...config }, undefined, id);
  const mounts = planMountPoints(merged, hostConfig, { dataRoot: '/root', recordOf: () => ({}) as ContainerRecord });
  const record: ContainerRecord = {
    id, name: 'n', created: '', path: 'sleep', args: ['1'], config: merged, hostConfig, imageId: '', mounts, endpoints: {},
    state: initialState(), pidStartTicks: 0, restartCount: 0, isManuallyStopped: false, hasBeenStarted: false, snapshotter: 'overlayfs',
    rootMounts: [], logPath: '', phase: 'ready', isStarting: false, sandbox: undefined,
  }; // biome-ignore format: a record
  return buildSpec({
    record,
    config: daemon,
    host,
    files: containerFiles(daemon, id),
    mounts,
    accounts: { passwd: 'root:x:0:0::/:/\napp:x:7:7::/:/\n', group: '' },
    namespaces: { network: { path: '/run/netns/x' }, pidOf: () => 4242 },
    shmSource: undefined,
    linkedEnvironment: [],
    seccompProfile: undefined,
  });
}

const allowed = (result: ReturnType<typeof spec>) =>
  new Set(
    result.linux?.seccomp?.syscalls
      ?.filter((rule) => rule.action === 'SCMP_ACT_ALLOW' && rule.args === undefined)
      .flatMap((rule) => rule.names),
  );

describe('buildSpec', () => {
  it('makes the default container', () => {
    const result = spec();
    expect(result.process).toMatchObject({
      user: { uid: 0, gid: 0 },
      args: ['sleep', '1'],
      env: ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'HOSTNAME=cdcdcdcdcdcd'],
      cwd: '/',
      oomScoreAdj: 0,
      rlimits: [{ type: 'RLIMIT_CORE', soft: 0, hard: 0 }],
    });
    expect(result.process?.capabilities?.bounding?.length).toBe(14);
    expect(result.process?.capabilities?.inheritable).toBeUndefined();
    expect(result.process?.capabilities?.ambient).toBeUndefined();
    expect(result.linux?.namespaces).toEqual([
      { type: 'mount' }, { type: 'network', path: '/run/netns/x' }, { type: 'uts' }, { type: 'pid' }, { type: 'ipc' },
    ]); // biome-ignore format: a list
    expect(result.mounts?.map((mount) => mount.destination)).toEqual([
      '/proc', '/dev', '/dev/pts', '/sys', '/sys/fs/cgroup', '/dev/mqueue', '/dev/shm', '/etc/resolv.conf', '/etc/hostname', '/etc/hosts',
    ]); // biome-ignore format: a list
    expect(result.linux?.cgroupsPath).toBe(`/docker/${id}`);
    expect(result.linux?.sysctl).toEqual({
      'net.ipv4.ip_unprivileged_port_start': '0',
      'net.ipv4.ping_group_range': '0 2147483647',
    });
    expect(result.linux?.resources?.devices?.[0]).toEqual({ allow: false, access: 'rwm' });
    expect(result.linux?.maskedPaths).toContain('/proc/kcore');
  });

  it('gives other users only a bounding set', () => {
    expect(Object.keys(spec({}, { User: 'app' }).process?.capabilities ?? {})).toEqual(['bounding']);
  });

  it('keeps dangerous calls behind their capability, and clone3 behind ENOSYS', () => {
    const result = spec();
    for (const name of [
      'mount',
      'setns',
      'unshare',
      'bpf',
      'kexec_load',
      'io_uring_setup',
      'keyctl',
      'reboot',
      'clone',
      'socket',
      'syslog',
      'open_by_handle_at',
      'userfaultfd',
    ])
      expect([name, allowed(result).has(name)]).toEqual([name, false]);
    for (const name of ['read', 'openat2', 'futex_waitv', 'ptrace', 'landlock_restrict_self', 'chroot', 'arch_prctl'])
      expect([name, allowed(result).has(name)]).toEqual([name, true]);
    const rules = result.linux?.seccomp?.syscalls ?? [];
    expect(rules.find((rule) => rule.names.includes('clone3'))).toMatchObject({
      action: 'SCMP_ACT_ERRNO',
      errnoRet: 38,
    });
    expect(rules.find((rule) => rule.names.includes('clone'))?.args).toEqual([
      { index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
    ]);
    expect(result.linux?.seccomp?.architectures).toEqual(['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']);
    const admin = spec({ CapAdd: ['SYS_ADMIN'] });
    for (const name of ['mount', 'setns', 'clone', 'clone3']) expect(allowed(admin).has(name)).toBe(true);
  });

  it('opens everything for privileged ones', () => {
    const result = spec({ Privileged: true });
    expect(result.linux?.seccomp).toBeUndefined();
    expect(result.linux?.maskedPaths).toEqual([]);
    expect(result.linux?.readonlyPaths).toEqual([]);
    expect(result.linux?.resources?.devices).toEqual([{ allow: true, access: 'rwm' }]);
    expect(result.process?.capabilities?.effective).toEqual(capabilityNames);
    expect(result.mounts?.find((mount) => mount.destination === '/sys')?.options).toContain('rw');
  });

  it('joins and shares namespaces', () => {
    const result = spec({ PidMode: 'host', IpcMode: 'container:other', UTSMode: 'host' });
    expect(result.linux?.namespaces).toEqual([
      { type: 'mount' },
      { type: 'network', path: '/run/netns/x' },
      { type: 'ipc', path: '/proc/4242/ns/ipc' },
    ]);
    expect(result.hostname).toBeUndefined();
  });

  it('turns limits into resources', () => {
    expect(spec({ NanoCpus: 1.5e9, Memory: 2 ** 26, PidsLimit: 7, CpuShares: 512 }).linux?.resources).toMatchObject({
      cpu: { period: 100000, quota: 150000, shares: 512 },
      memory: { limit: 2 ** 26, swap: 2 ** 27 },
      pids: { limit: 7 },
    });
  });

  it('orders mounts by depth and lets the user replace ours', () => {
    const result = spec({
      Binds: ['aa:/x/y/z', '/etc/hosts:/etc/hosts', 'bb:/x', 'cc:/dev/shm'],
      Tmpfs: { '/t': 'size=1m,exec' },
    });
    const destinations = result.mounts?.map((mount) => mount.destination) ?? [];
    expect(destinations.indexOf('/x')).toBeLessThan(destinations.indexOf('/x/y/z'));
    expect(destinations.filter((path) => path === '/dev/shm')).toEqual(['/dev/shm']);
    expect(result.mounts?.filter((mount) => mount.destination === '/etc/hosts')).toMatchObject([
      { source: '/etc/hosts' },
    ]);
    expect(result.mounts?.find((mount) => mount.destination === '/t')?.options).toEqual([
      'nosuid',
      'nodev',
      'rprivate',
      'size=1m',
      'exec',
    ]);
  });

  it('shares no list between two containers', () => {
    const [a, b] = [spec({}, { Env: ['A=1'] }), spec()];
    expect(a.process?.env).toContain('A=1');
    expect(b.process?.env).not.toContain('A=1');
    expect(a.mounts).not.toBe(b.mounts);
  });

  it('limits processes unless the user says otherwise', () => {
    const limit = (request: HostConfigRequest) => spec(request).linux?.resources?.pids?.limit;
    expect([limit({}), limit({ PidsLimit: 0 }), limit({ PidsLimit: 50 }), limit({ PidsLimit: -1 })]).toEqual([
      4096, 4096, 50, -1,
    ]);
  });
});
