import type { HostConfigRequest } from '@boxship/engine-api';
import { describe, expect, it } from 'vitest';
import { parseDaemonConfig } from '../config.ts';
import { readHostFacts } from '../system/host-facts.ts';
import { completeHostConfig } from './host-config.ts';

const config = parseDaemonConfig(['--config-file', '/dev/null'], { loggerPath: '/logger' });
const host = { ...readHostFacts(), cpuCount: 2, cgroupVersion: 1 as const, cpusetCpus: '0-1', cpusetMems: '0' };
const complete = (request: HostConfigRequest, apiVersion = '1.50') =>
  completeHostConfig(request, { config, host, apiVersion });

describe('completeHostConfig', () => {
  it('fills in what inspect shows', () => {
    expect(complete({})).toMatchObject({
      NetworkMode: 'bridge',
      LogConfig: { Type: 'json-file', Config: {} },
      RestartPolicy: { Name: 'no', MaximumRetryCount: 0 },
      IpcMode: 'private',
      CgroupnsMode: 'host',
      ShmSize: 67108864,
      Runtime: 'runc',
      CapAdd: null,
      Dns: null,
      MemorySwappiness: null,
      PidsLimit: null,
      OomKillDisable: false,
      ReadonlyPaths: ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'],
    });
  });

  it('reads unset numbers of the CLI as unset', () => {
    expect(complete({ MemorySwappiness: -1, PidsLimit: 0 })).toMatchObject({ MemorySwappiness: null, PidsLimit: null });
    expect(complete({ Memory: 64 * 2 ** 20 }).MemorySwap).toBe(128 * 2 ** 20);
  });

  it('goes by the version of the request', () => {
    expect(complete({}, '1.39').IpcMode).toBe('shareable');
    expect(complete({ AutoRemove: true }, '1.24').AutoRemove).toBe(false);
    expect(complete({ ConsoleSize: [24, 80] }, '1.41').ConsoleSize).toEqual([0, 0]);
    expect(complete({ ConsoleSize: [24, 80] }, '1.42').ConsoleSize).toEqual([24, 80]);
  });

  it('normalises capabilities', () => {
    expect(complete({ CapAdd: ['net_raw', 'CAP_CHOWN'], CapDrop: ['all'] })).toMatchObject({
      CapAdd: ['CAP_CHOWN', 'CAP_NET_RAW'],
      CapDrop: ['ALL'],
    });
  });

  it.each([
    [{ Memory: 1024 }, 'Minimum memory limit allowed is 6MB'],
    [
      { Memory: 2 ** 26, MemorySwap: 2 ** 25 },
      'Minimum memoryswap limit should be larger than memory limit, see usage',
    ],
    [{ NanoCpus: 3e9 }, 'Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available'],
    [{ NanoCpus: 1e9, CpuPeriod: 1000 }, 'Nano CPUs and CPU Period cannot both be set'],
    [{ CapAdd: ['FOO'] }, 'invalid CapAdd: unknown capability: "CAP_FOO"'],
    [
      { AutoRemove: true, RestartPolicy: { Name: 'always' } },
      "can't create 'AutoRemove' container with restart policy",
    ],
    [{ RestartPolicy: { Name: 'sometimes' } }, "invalid restart policy 'sometimes'"],
    [{ NetworkMode: 'host', Links: ['a:b'] }, "conflicting options: host type networking can't be used with links"],
    [{ Runtime: '/dev/shm/evil' }, 'unknown or invalid runtime name: /dev/shm/evil'],
    [{ Sysctls: { 'net.ipv4.ip_forward': '1\nkernel.core_pattern=x' } }, 'invalid sysctl'],
    [{ Sysctls: { 'kernel.core_pattern': 'x' } }, "sysctl 'kernel.core_pattern' is not whitelisted"],
    [{ ExtraHosts: ['a\n1.2.3.4 bank:1.1.1.1'] }, 'bad format for add-host'],
    [{ LogConfig: { Type: 'nosuch' } }, "no log driver named 'nosuch' is registered"],
    [{ LogConfig: { Type: 'json-file', Config: { 'max-size': '0' } } }, 'max-size must be a positive number'],
    [{ LogConfig: { Type: 'json-file', Config: { 'max-file': '0' } } }, 'max-file must be a positive number'],
    [{ PidMode: 'container:' }, 'invalid PID mode'],
    [{ OomScoreAdj: 2000 }, 'Invalid value 2000, range for oom score adj is [-1000, 1000]'],
    [{ CgroupParent: '/a/../../b' }, 'it must not contain ".."'],
    [{ Tmpfs: { '/x': 'size=1m,bad=1' } }, 'invalid tmpfs option ["bad=1"]'],
    [{ CpusetCpus: '0-9' }, 'Requested CPUs are not available - requested 0-9, available: 0-1'],
    [{ CpusetMems: '1' }, 'Requested memory nodes are not available - requested 1, available: 0'],
    [{ SecurityOpt: ['nosuch=1'] }, 'invalid --security-opt'],
    [{ PortBindings: { '80/tcp': [{ HostPort: '99999' }] } }, 'invalid port specification: "99999"'],
  ] as const)('refuses %j', (request, text) => {
    expect(() => complete(request as HostConfigRequest)).toThrow(text);
  });
});
