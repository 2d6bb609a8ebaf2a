/** HostConfig complete and checked: defaults filled in, names normalised, impossible requests refused in Docker's words. */
import { BoxshipError } from '@boxship/base';
import { apiAtLeast, type HostConfig, type HostConfigRequest } from '@boxship/engine-api';
import type { DaemonConfig } from '../config.ts';
import type { HostFacts } from '../system/host-facts.ts';
import { checkLogOptions } from './log/uri.ts';
import { checkPortBindings } from './ports.ts';
import { checkLimits } from './resource-limits.ts';
import { capabilitySets, normalizeCapabilities } from './spec/capabilities.ts';
import { maskedPaths, parseSecurityOptions, readonlyPaths } from './spec/security.ts';
import { checkTmpfsOptions } from './spec/tmpfs.ts';

export interface HostConfigContext {
  readonly config: DaemonConfig;
  readonly host: HostFacts;
  readonly apiVersion: string;
}

const bad = (message: string) => new BoxshipError('invalidArgument', message);
const orNull = <T>(list: readonly T[] | undefined): T[] | null =>
  list === undefined || list.length === 0 ? null : [...list];

/** Key order is the wire's. @throws invalidArgument */
export function completeHostConfig(request: HostConfigRequest, context: HostConfigContext): HostConfig {
  const { config, host, apiVersion } = context;
  const isPrivileged = request.Privileged ?? false;
  const securityOptions = parseSecurityOptions(request.SecurityOpt ?? []);
  const memory = request.Memory ?? 0;
  const swap = request.MemorySwap ?? 0;
  const limits = checkLimits({ ...request, Memory: memory, MemorySwap: swap }, host);
  checkPortBindings(request.PortBindings ?? {});
  const capAdd = normalizeCapabilities(request.CapAdd ?? [], 'CapAdd');
  const capDrop = normalizeCapabilities(request.CapDrop ?? [], 'CapDrop');
  capabilitySets({ add: capAdd, drop: capDrop, isPrivileged, held: host.capabilities });
  const restart = checkRestartPolicy(request);
  const isMasked = !securityOptions.isSystemPathsUnconfined;
  const runtime = request.Runtime || config.defaultRuntime;
  if (config.runtimes[runtime] === undefined) throw bad(`unknown or invalid runtime name: ${runtime}`);
  const score = request.OomScoreAdj ?? 0;
  if (score < -1000 || score > 1000) throw bad(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`);
  if (request.CgroupParent?.split('/').includes('..'))
    throw bad(`invalid cgroup parent "${request.CgroupParent}": it must not contain ".."`);
  for (const [target, text] of Object.entries(request.Tmpfs ?? {})) checkTmpfsOptions(target, text);
  if ((request.ShmSize ?? 0) < 0) throw bad('SHM size can not be less than 0');
  checkModes(request);
  checkSysctls(request.Sysctls ?? {}, request.NetworkMode ?? 'default');
  return {
    Binds: request.Binds ?? null,
    ContainerIDFile: request.ContainerIDFile ?? '',
    LogConfig: logConfig(request, config),
    NetworkMode: networkMode(request.NetworkMode, config.hasDefaultBridge),
    PortBindings: { ...request.PortBindings },
    RestartPolicy: restart,
    AutoRemove: apiAtLeast(apiVersion, '1.25') && (request.AutoRemove ?? false),
    VolumeDriver: request.VolumeDriver ?? '',
    VolumesFrom: request.VolumesFrom ?? null,
    ConsoleSize:
      apiAtLeast(apiVersion, '1.42') && request.ConsoleSize?.length === 2 ? [...request.ConsoleSize] : [0, 0],
    CapAdd: orNull(capAdd),
    CapDrop: orNull(capDrop),
    CgroupnsMode:
      request.CgroupnsMode || (host.cgroupVersion === 2 && apiAtLeast(apiVersion, '1.41') ? 'private' : 'host'),
    Dns: request.Dns ?? null,
    DnsOptions: request.DnsOptions ?? null,
    DnsSearch: request.DnsSearch ?? null,
    ExtraHosts: request.ExtraHosts ?? null,
    GroupAdd: request.GroupAdd ?? null,
    IpcMode: request.IpcMode || (apiAtLeast(apiVersion, '1.40') ? 'private' : 'shareable'),
    Cgroup: request.Cgroup ?? '',
    Links: request.Links ?? null,
    OomScoreAdj: score,
    PidMode: request.PidMode ?? '',
    Privileged: isPrivileged,
    PublishAllPorts: request.PublishAllPorts ?? false,
    ReadonlyRootfs: request.ReadonlyRootfs ?? false,
    SecurityOpt: request.SecurityOpt ?? null,
    ...(request.StorageOpt === undefined || Object.keys(request.StorageOpt).length === 0
      ? {}
      : { StorageOpt: request.StorageOpt }),
    ...(request.Tmpfs === undefined || Object.keys(request.Tmpfs).length === 0 ? {} : { Tmpfs: request.Tmpfs }),
    UTSMode: request.UTSMode ?? '',
    UsernsMode: request.UsernsMode ?? '',
    ShmSize: request.ShmSize || config.defaultShmSize,
    ...(request.Sysctls === undefined || Object.keys(request.Sysctls).length === 0 ? {} : { Sysctls: request.Sysctls }),
    Runtime: runtime,
    ...(apiAtLeast(apiVersion, '1.43') && request.Annotations !== undefined
      ? { Annotations: request.Annotations }
      : {}),
    Isolation: request.Isolation ?? '',
    CpuShares: request.CpuShares ?? 0,
    Memory: memory,
    NanoCpus: request.NanoCpus ?? 0,
    CgroupParent: request.CgroupParent ?? '',
    BlkioWeight: request.BlkioWeight ?? 0,
    BlkioWeightDevice: request.BlkioWeightDevice ?? null,
    BlkioDeviceReadBps: request.BlkioDeviceReadBps ?? null,
    BlkioDeviceWriteBps: request.BlkioDeviceWriteBps ?? null,
    BlkioDeviceReadIOps: request.BlkioDeviceReadIOps ?? null,
    BlkioDeviceWriteIOps: request.BlkioDeviceWriteIOps ?? null,
    CpuPeriod: request.CpuPeriod ?? 0,
    CpuQuota: request.CpuQuota ?? 0,
    CpuRealtimePeriod: request.CpuRealtimePeriod ?? 0,
    CpuRealtimeRuntime: request.CpuRealtimeRuntime ?? 0,
    CpusetCpus: request.CpusetCpus ?? '',
    CpusetMems: request.CpusetMems ?? '',
    Devices: request.Devices ?? null,
    DeviceCgroupRules: request.DeviceCgroupRules ?? null,
    DeviceRequests: request.DeviceRequests ?? null,
    MemoryReservation: request.MemoryReservation ?? 0,
    MemorySwap: limits.memorySwap,
    MemorySwappiness: limits.swappiness,
    OomKillDisable: host.cgroupVersion === 2 ? null : (request.OomKillDisable ?? false),
    PidsLimit: limits.pidsLimit,
    Ulimits: request.Ulimits ?? null,
    CpuCount: request.CpuCount ?? 0,
    CpuPercent: request.CpuPercent ?? 0,
    IOMaximumIOps: request.IOMaximumIOps ?? 0,
    IOMaximumBandwidth: request.IOMaximumBandwidth ?? 0,
    ...(request.Mounts === undefined || request.Mounts.length === 0 ? {} : { Mounts: request.Mounts }),
    MaskedPaths: request.MaskedPaths ?? (isMasked && !isPrivileged ? maskedPaths() : null),
    ReadonlyPaths: request.ReadonlyPaths ?? (isMasked && !isPrivileged ? [...readonlyPaths] : null),
    ...(request.Init === undefined ? {} : { Init: request.Init }),
  } as HostConfig;
}

const networkMode = (mode: string | undefined, hasDefaultBridge = true): string => {
  if (mode !== undefined && mode !== '' && mode !== 'default') return mode;
  return hasDefaultBridge ? 'bridge' : 'none';
};

function logConfig(request: HostConfigRequest, config: DaemonConfig): HostConfig['LogConfig'] {
  const type = request.LogConfig?.Type || config.logDriver;
  if (!['json-file', 'local', 'none'].includes(type)) throw bad(`logger: no log driver named '${type}' is registered`);
  const options = request.LogConfig?.Type
    ? request.LogConfig.Config
    : { ...config.logOptions, ...request.LogConfig?.Config };
  checkLogOptions(options ?? {});
  return { Type: type, Config: { ...options } };
}

function checkRestartPolicy(request: HostConfigRequest): HostConfig['RestartPolicy'] {
  const name = request.RestartPolicy?.Name || 'no';
  const count = request.RestartPolicy?.MaximumRetryCount ?? 0;
  if (!['no', 'always', 'unless-stopped', 'on-failure'].includes(name)) throw bad(`invalid restart policy '${name}'`);
  if (name !== 'on-failure' && count !== 0)
    throw bad(`maximum retry count cannot be used with restart policy '${name}'`);
  if (count < 0) throw bad('maximum retry count cannot be negative');
  if (request.AutoRemove === true && name !== 'no')
    throw bad(`can't create 'AutoRemove' container with restart policy`);
  return { Name: name, MaximumRetryCount: count };
}

function checkModes(request: HostConfigRequest): void {
  const network = networkMode(request.NetworkMode);
  if (network === 'host' && (request.Links ?? []).length > 0)
    throw bad(
      `conflicting options: host type networking can't be used with links. This would result in undefined behavior`,
    );
  for (const [name, value] of [
    ['IPC', request.IpcMode],
    ['PID', request.PidMode],
  ] as const)
    if (value?.startsWith('container:') && value.length === 'container:'.length)
      throw bad(`invalid ${name} mode: ${value}`);
  if (request.PidMode && request.PidMode !== 'host' && !request.PidMode.startsWith('container:'))
    throw bad(`invalid PID mode: ${request.PidMode}`);
  if (request.UTSMode && request.UTSMode !== 'host') throw bad(`invalid UTS mode: ${request.UTSMode}`);
  if (request.IpcMode && !/^(none|private|shareable|host|container:.+)$/.test(request.IpcMode))
    throw bad(`invalid IPC mode: ${request.IpcMode}`);
  if (request.CgroupnsMode && !/^(host|private)$/.test(request.CgroupnsMode))
    throw bad(`invalid cgroup namespace mode: ${request.CgroupnsMode}`);
  for (const entry of request.ExtraHosts ?? [])
    if (!/^[^\s#:]+:\S+$/.test(entry)) throw bad(`bad format for add-host: "${entry}"`);
}

const sysctlName = /^[a-zA-Z0-9_]+(?:[./][A-Za-z0-9_*-]+)+$/;
const namespaced = /^(net\.|kernel\.(shm(all|max|mni|_rmid_forced)|msg(max|mnb|mni)|sem)$|fs\.mqueue\.)/;

function checkSysctls(sysctls: Readonly<Record<string, string>>, network: string): void {
  for (const [name, value] of Object.entries(sysctls)) {
    if (!sysctlName.test(name) || /[\n\0]/.test(value))
      throw bad(`invalid sysctl: ${JSON.stringify(`${name}=${value}`)}`);
    if (!namespaced.test(name)) throw bad(`sysctl '${name}' is not whitelisted`);
    if (network === 'host' && name.startsWith('net.'))
      throw bad(`sysctl ${JSON.stringify(name)} not allowed in host network namespace`);
  }
}
