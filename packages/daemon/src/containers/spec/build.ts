/** The OCI runtime specification of one container, from its record and what the start has prepared. */
import { existsSync } from 'node:fs';
import { BoxshipError } from '@boxship/base';
import type { HostConfig } from '@boxship/engine-api';
import type { RuntimeProcess, RuntimeSeccomp, RuntimeSpec } from '@boxship/oci';
import type { DaemonConfig } from '../../config.ts';
import type { HostFacts } from '../../system/host-facts.ts';
import type { ContainerFiles } from '../files.ts';
import { mergeEnv } from '../merge-config.ts';
import type { ContainerRecord, MountRecord } from '../model.ts';
import { appArmorProfileOf } from './apparmor.ts';
import { capabilitySets } from './capabilities.ts';
import { planDevices } from './devices.ts';
import { planMounts } from './mounts.ts';
import { type NamespaceContext, planNamespaces } from './namespaces.ts';
import { runtimeResources } from './resources.ts';
import { customSeccomp, defaultSeccomp } from './seccomp.ts';
import { parseSecurityOptions } from './security.ts';
import { type AccountFiles, resolveUser } from './user.ts';

export interface SpecContext {
  readonly record: ContainerRecord;
  readonly config: DaemonConfig;
  readonly host: HostFacts;
  readonly files: ContainerFiles;
  readonly mounts: readonly MountRecord[];
  readonly accounts: AccountFiles;
  /** Variables that tell of linked containers. */
  readonly linkedEnvironment: readonly string[];
  readonly namespaces: NamespaceContext;
  readonly shmSource: string | undefined;
  /** Text of the daemon's own default profile; undefined: the built-in one. */
  readonly seccompProfile: string | undefined;
}

const defaultPath = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function buildSpec(context: SpecContext): RuntimeSpec {
  const { record, host, config } = context;
  const { hostConfig } = record;
  const security = parseSecurityOptions(hostConfig.SecurityOpt ?? []);
  const devices = planDevices(hostConfig);
  const isPrivateNetwork = context.namespaces.network !== 'host';
  const capabilities = capabilitiesOf(hostConfig, host);
  const seccomp = seccompOf(context, security.seccomp, capabilities);
  const initPath = initOf(hostConfig, config);
  const parent = hostConfig.CgroupParent || config.cgroupParent || '/docker';
  return {
    ociVersion: '1.0.2-dev',
    process: processOf(context, capabilities, initPath, security.isNoNewPrivileges ?? config.isNoNewPrivileges),
    root: { path: 'rootfs', ...(hostConfig.ReadonlyRootfs ? { readonly: true } : {}) },
    ...(hostConfig.UTSMode === 'host' ? {} : { hostname: record.config.Hostname }),
    mounts: planMounts({
      record,
      files: context.files,
      mounts: context.mounts,
      initPath,
      shmSource: context.shmSource,
      isCgroupWritable: security.isCgroupWritable,
    }),
    ...(hostConfig.Annotations === undefined ? {} : { annotations: { ...hostConfig.Annotations } }),
    linux: {
      sysctl: {
        ...(isPrivateNetwork
          ? { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }
          : {}),
        ...hostConfig.Sysctls,
      },
      resources: runtimeResources(hostConfig, host, {
        devices: devices.rules,
        defaultPidsLimit: config.defaultPidsLimit,
      }),
      cgroupsPath: `${parent}/${record.id}`,
      namespaces: planNamespaces(hostConfig, context.namespaces),
      ...(devices.devices.length === 0 ? {} : { devices: devices.devices }),
      ...(seccomp === undefined ? {} : { seccomp }),
      ...(rootPropagation(context.mounts) ?? {}),
      maskedPaths: hostConfig.MaskedPaths ?? [],
      readonlyPaths: hostConfig.ReadonlyPaths ?? [],
    },
  };
}

/** A shared or slave bind needs the root to pass mounts on. */
function rootPropagation(mounts: readonly MountRecord[]): { rootfsPropagation: string } | undefined {
  if (mounts.some((mount) => /shared$/.test(mount.propagation))) return { rootfsPropagation: 'shared' };
  if (mounts.some((mount) => /slave$/.test(mount.propagation))) return { rootfsPropagation: 'slave' };
  return undefined;
}

export function capabilitiesOf(hostConfig: HostConfig, host: HostFacts): string[] {
  return capabilitySets({
    add: hostConfig.CapAdd ?? [],
    drop: hostConfig.CapDrop ?? [],
    isPrivileged: hostConfig.Privileged,
    held: host.capabilities,
  });
}

function seccompOf(
  context: SpecContext,
  option: string | undefined,
  capabilities: readonly string[],
): RuntimeSeccomp | undefined {
  const { host, seccompProfile, record } = context;
  if (option === 'unconfined' || !host.hasSeccomp) return undefined;
  if (option !== undefined && option !== 'builtin' && option !== 'default')
    return customSeccomp(option, capabilities, host);
  if (record.hostConfig.Privileged || seccompProfile === 'unconfined') return undefined;
  return seccompProfile === undefined
    ? defaultSeccomp(capabilities, host)
    : customSeccomp(seccompProfile, capabilities, host);
}

/** @throws invalidArgument when an init is wanted and none is installed */
function initOf(hostConfig: HostConfig, config: DaemonConfig): string | undefined {
  if (!(hostConfig.Init ?? config.isInitDefault) || hostConfig.PidMode !== '') return undefined;
  const path = config.initPath === '' ? initPaths.find((candidate) => existsSync(candidate)) : config.initPath;
  if (path === undefined)
    throw new BoxshipError(
      'invalidArgument',
      'no init is installed: install docker-init or tini, or name one with --init-path',
    );
  return path;
}

const initPaths = [
  '/usr/libexec/docker/docker-init',
  '/usr/bin/docker-init',
  '/usr/sbin/docker-init',
  '/usr/bin/tini-static',
  '/sbin/tini',
  '/usr/bin/tini',
];

/** bounding for all; effective and permitted only for root: a changed uid loses them at exec anyway. */
export function capabilitySpec(
  capabilities: readonly string[],
  uid: number,
): NonNullable<RuntimeProcess['capabilities']> {
  return uid === 0
    ? { bounding: capabilities, effective: capabilities, permitted: capabilities }
    : { bounding: capabilities };
}

export function environmentOf(record: ContainerRecord, isTty: boolean, linked: readonly string[]): string[] {
  const env = [defaultPath, `HOSTNAME=${record.config.Hostname}`, ...(isTty ? ['TERM=xterm'] : []), ...linked];
  return mergeEnv(env, record.config.Env ?? []);
}

/** The daemon's default limits with the container's over them; execs get the same. */
export function rlimitsOf(hostConfig: HostConfig, config: DaemonConfig): Pick<RuntimeProcess, 'rlimits'> {
  const limits = new Map(Object.entries(config.defaultUlimits));
  for (const { Name = '', Soft = 0, Hard = 0 } of hostConfig.Ulimits ?? [])
    limits.set(Name, { soft: Soft, hard: Hard });
  const rlimits = [...limits].map(([name, { soft, hard }]) => ({ type: `RLIMIT_${name.toUpperCase()}`, soft, hard }));
  return rlimits.length === 0 ? {} : { rlimits };
}

function processOf(
  context: SpecContext,
  capabilities: readonly string[],
  initPath: string | undefined,
  isNoNewPrivileges: boolean,
): RuntimeProcess {
  const { record, config, host } = context;
  const { hostConfig } = record;
  const user = resolveUser(record.config.User, hostConfig.GroupAdd ?? [], context.accounts);
  const [height = 0, width = 0] = hostConfig.ConsoleSize ?? [];
  const args = [record.path, ...record.args];
  const appArmorProfile = appArmorProfileOf(hostConfig, host);
  return {
    ...(record.config.Tty ? { terminal: true } : {}),
    ...(record.config.Tty && height > 0 && width > 0 ? { consoleSize: { height, width } } : {}),
    user,
    args: initPath === undefined ? args : ['/sbin/docker-init', '--', ...args],
    env: environmentOf(record, record.config.Tty, context.linkedEnvironment),
    cwd: record.config.WorkingDir === '' ? '/' : record.config.WorkingDir,
    capabilities: capabilitySpec(capabilities, user.uid),
    ...rlimitsOf(hostConfig, config),
    ...(isNoNewPrivileges ? { noNewPrivileges: true } : {}),
    ...(appArmorProfile === '' || appArmorProfile === 'unconfined' ? {} : { apparmorProfile: appArmorProfile }),
    oomScoreAdj: hostConfig.OomScoreAdj,
  };
}
