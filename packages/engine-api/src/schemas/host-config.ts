/** HostConfig: everything about a container that is not portable. Units: bytes, microseconds, NanoCpus = 10⁻⁹ CPU. */
import { type Static, Type } from 'typebox';
import { optionalBoolean, optionalInteger, optionalString, StringList, StringMap } from './primitives.ts';

export const RestartPolicySchema = Type.Object({ Name: optionalString, MaximumRetryCount: optionalInteger });
export const PortBindingSchema = Type.Object({ HostIp: optionalString, HostPort: optionalString });
export type PortBinding = Static<typeof PortBindingSchema>;
export const PortMapSchema = Type.Record(Type.String(), Type.Array(PortBindingSchema));
export const DeviceMappingSchema = Type.Object({
  PathOnHost: optionalString,
  PathInContainer: optionalString,
  CgroupPermissions: optionalString,
});
export const UlimitSchema = Type.Object({ Name: optionalString, Hard: optionalInteger, Soft: optionalInteger });
const WeightDevice = Type.Object({ Path: optionalString, Weight: optionalInteger });
const ThrottleDevice = Type.Object({ Path: optionalString, Rate: optionalInteger });
export const DeviceRequestSchema = Type.Object({
  Driver: optionalString,
  Count: optionalInteger,
  DeviceIDs: Type.Optional(StringList),
  Capabilities: Type.Optional(Type.Array(StringList)),
  Options: Type.Optional(StringMap),
});

/** One entry of `--mount`. */
export const MountSchema = Type.Object({
  Type: optionalString,
  Source: optionalString,
  Target: optionalString,
  ReadOnly: optionalBoolean,
  Consistency: optionalString,
  BindOptions: Type.Optional(
    Type.Object({
      Propagation: optionalString,
      NonRecursive: optionalBoolean,
      CreateMountpoint: optionalBoolean,
      ReadOnlyNonRecursive: optionalBoolean,
      ReadOnlyForceRecursive: optionalBoolean,
    }),
  ),
  VolumeOptions: Type.Optional(
    Type.Object({
      NoCopy: optionalBoolean,
      Labels: Type.Optional(StringMap),
      Subpath: optionalString,
      DriverConfig: Type.Optional(Type.Object({ Name: optionalString, Options: Type.Optional(StringMap) })),
    }),
  ),
  TmpfsOptions: Type.Optional(
    Type.Object({
      SizeBytes: optionalInteger,
      Mode: optionalInteger,
      Options: Type.Optional(Type.Array(StringList)),
    }),
  ),
  ImageOptions: Type.Optional(Type.Object({ Subpath: optionalString })),
});
export type MountRequest = Static<typeof MountSchema>;

/** The limits that `update` may change too. */
const resources = {
  CpuShares: optionalInteger,
  Memory: optionalInteger,
  NanoCpus: optionalInteger,
  CgroupParent: optionalString,
  BlkioWeight: optionalInteger,
  BlkioWeightDevice: Type.Optional(Type.Array(WeightDevice)),
  BlkioDeviceReadBps: Type.Optional(Type.Array(ThrottleDevice)),
  BlkioDeviceWriteBps: Type.Optional(Type.Array(ThrottleDevice)),
  BlkioDeviceReadIOps: Type.Optional(Type.Array(ThrottleDevice)),
  BlkioDeviceWriteIOps: Type.Optional(Type.Array(ThrottleDevice)),
  CpuPeriod: optionalInteger,
  CpuQuota: optionalInteger,
  CpuRealtimePeriod: optionalInteger,
  CpuRealtimeRuntime: optionalInteger,
  CpusetCpus: optionalString,
  CpusetMems: optionalString,
  Devices: Type.Optional(Type.Array(DeviceMappingSchema)),
  DeviceCgroupRules: Type.Optional(StringList),
  DeviceRequests: Type.Optional(Type.Array(DeviceRequestSchema)),
  KernelMemory: optionalInteger,
  KernelMemoryTCP: optionalInteger,
  MemoryReservation: optionalInteger,
  MemorySwap: optionalInteger,
  MemorySwappiness: optionalInteger,
  OomKillDisable: optionalBoolean,
  PidsLimit: optionalInteger,
  Ulimits: Type.Optional(Type.Array(UlimitSchema)),
  CpuCount: optionalInteger,
  CpuPercent: optionalInteger,
  IOMaximumIOps: optionalInteger,
  IOMaximumBandwidth: optionalInteger,
};

export const HostConfigSchema = Type.Object({
  Binds: Type.Optional(StringList),
  ContainerIDFile: optionalString,
  LogConfig: Type.Optional(Type.Object({ Type: optionalString, Config: Type.Optional(StringMap) })),
  NetworkMode: optionalString,
  PortBindings: Type.Optional(PortMapSchema),
  RestartPolicy: Type.Optional(RestartPolicySchema),
  AutoRemove: optionalBoolean,
  VolumeDriver: optionalString,
  VolumesFrom: Type.Optional(StringList),
  ConsoleSize: Type.Optional(Type.Array(Type.Integer())),
  Annotations: Type.Optional(StringMap),
  CapAdd: Type.Optional(StringList),
  CapDrop: Type.Optional(StringList),
  CgroupnsMode: optionalString,
  Dns: Type.Optional(StringList),
  DnsOptions: Type.Optional(StringList),
  DnsSearch: Type.Optional(StringList),
  ExtraHosts: Type.Optional(StringList),
  GroupAdd: Type.Optional(StringList),
  IpcMode: optionalString,
  Cgroup: optionalString,
  Links: Type.Optional(StringList),
  OomScoreAdj: optionalInteger,
  PidMode: optionalString,
  Privileged: optionalBoolean,
  PublishAllPorts: optionalBoolean,
  ReadonlyRootfs: optionalBoolean,
  SecurityOpt: Type.Optional(StringList),
  StorageOpt: Type.Optional(StringMap),
  Tmpfs: Type.Optional(StringMap),
  UTSMode: optionalString,
  UsernsMode: optionalString,
  ShmSize: optionalInteger,
  Sysctls: Type.Optional(StringMap),
  Runtime: optionalString,
  Isolation: optionalString,
  Mounts: Type.Optional(Type.Array(MountSchema)),
  MaskedPaths: Type.Optional(StringList),
  ReadonlyPaths: Type.Optional(StringList),
  Init: optionalBoolean,
  ...resources,
});
export type HostConfigRequest = Static<typeof HostConfigSchema>;

export const ContainerUpdateSchema = Type.Object({ ...resources, RestartPolicy: Type.Optional(RestartPolicySchema) });
export type ContainerUpdateRequest = Static<typeof ContainerUpdateSchema>;

type Nullable<T> = { [Name in keyof T]-?: Exclude<T[Name], undefined> | null };
type Filled<T, Names extends keyof T> = { [Name in Names]-?: Exclude<T[Name], undefined> };

/** HostConfig as inspect shows it and as the daemon keeps it: complete, unset lists and numbers are null where Go has nil. */
export type HostConfig = Omit<
  Nullable<HostConfigRequest>,
  | FilledNames
  | 'Tmpfs'
  | 'Sysctls'
  | 'StorageOpt'
  | 'Annotations'
  | 'Init'
  | 'Mounts'
  | 'KernelMemory'
  | 'KernelMemoryTCP'
> &
  Filled<HostConfigRequest, FilledNames> & {
    LogConfig: { Type: string; Config: Record<string, string> };
    RestartPolicy: { Name: string; MaximumRetryCount: number };
    Tmpfs?: Record<string, string>;
    Sysctls?: Record<string, string>;
    StorageOpt?: Record<string, string>;
    Annotations?: Record<string, string>;
    Init?: boolean;
    Mounts?: MountRequest[];
    KernelMemory?: number;
    KernelMemoryTCP?: number;
  };

type FilledNames =
  | 'ContainerIDFile'
  | 'LogConfig'
  | 'NetworkMode'
  | 'PortBindings'
  | 'RestartPolicy'
  | 'AutoRemove'
  | 'VolumeDriver'
  | 'ConsoleSize'
  | 'CgroupnsMode'
  | 'IpcMode'
  | 'Cgroup'
  | 'OomScoreAdj'
  | 'PidMode'
  | 'Privileged'
  | 'PublishAllPorts'
  | 'ReadonlyRootfs'
  | 'UTSMode'
  | 'UsernsMode'
  | 'ShmSize'
  | 'Runtime'
  | 'Isolation'
  | 'CpuShares'
  | 'Memory'
  | 'NanoCpus'
  | 'CgroupParent'
  | 'BlkioWeight'
  | 'CpuPeriod'
  | 'CpuQuota'
  | 'CpuRealtimePeriod'
  | 'CpuRealtimeRuntime'
  | 'CpusetCpus'
  | 'CpusetMems'
  | 'MemoryReservation'
  | 'MemorySwap'
  | 'CpuCount'
  | 'CpuPercent'
  | 'IOMaximumIOps'
  | 'IOMaximumBandwidth';
