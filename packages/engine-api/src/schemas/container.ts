/** Containers: create and update bodies, and what list, inspect, wait, stats and top answer. */
import { type Static, Type } from 'typebox';
import { type HostConfig, HostConfigSchema } from './host-config.ts';
import { type EndpointSettings, EndpointSettingsSchema } from './network.ts';
import {
  optionalBoolean,
  optionalInteger,
  optionalString,
  StringList,
  StringMap,
  StringOrList,
  StringSet,
} from './primitives.ts';

/** Durations are nanoseconds. */
export const HealthcheckSchema = Type.Object({
  Test: Type.Optional(StringList),
  Interval: optionalInteger,
  Timeout: optionalInteger,
  StartPeriod: optionalInteger,
  StartInterval: optionalInteger,
  Retries: optionalInteger,
});
export type Healthcheck = Static<typeof HealthcheckSchema>;

const configFields = {
  Hostname: optionalString,
  Domainname: optionalString,
  User: optionalString,
  AttachStdin: optionalBoolean,
  AttachStdout: optionalBoolean,
  AttachStderr: optionalBoolean,
  ExposedPorts: Type.Optional(StringSet),
  Tty: optionalBoolean,
  OpenStdin: optionalBoolean,
  StdinOnce: optionalBoolean,
  Env: Type.Optional(StringList),
  Cmd: Type.Optional(StringOrList),
  Healthcheck: Type.Optional(HealthcheckSchema),
  ArgsEscaped: optionalBoolean,
  Image: optionalString,
  Volumes: Type.Optional(StringSet),
  WorkingDir: optionalString,
  Entrypoint: Type.Optional(StringOrList),
  NetworkDisabled: optionalBoolean,
  MacAddress: optionalString,
  OnBuild: Type.Optional(StringList),
  Labels: Type.Optional(StringMap),
  StopSignal: optionalString,
  StopTimeout: optionalInteger,
  Shell: Type.Optional(StringList),
};

export const ContainerConfigSchema = Type.Object(configFields);
export type ContainerConfigRequest = Static<typeof ContainerConfigSchema>;

export const ContainerCreateSchema = Type.Object({
  ...configFields,
  HostConfig: Type.Optional(HostConfigSchema),
  NetworkingConfig: Type.Optional(
    Type.Object({ EndpointsConfig: Type.Optional(Type.Record(Type.String(), EndpointSettingsSchema)) }),
  ),
});
export type ContainerCreateRequest = Static<typeof ContainerCreateSchema>;

export interface ContainerCreateResponse {
  Id: string;
  Warnings: string[];
}

/** Config as inspect shows it and as the daemon keeps it. */
export interface ContainerConfig {
  Hostname: string;
  Domainname: string;
  User: string;
  AttachStdin: boolean;
  AttachStdout: boolean;
  AttachStderr: boolean;
  ExposedPorts?: Record<string, object>;
  Tty: boolean;
  OpenStdin: boolean;
  StdinOnce: boolean;
  Env: string[] | null;
  Cmd: string[] | null;
  Healthcheck?: Healthcheck;
  ArgsEscaped?: boolean;
  Image: string;
  Volumes: Record<string, object> | null;
  WorkingDir: string;
  Entrypoint: string[] | null;
  NetworkDisabled?: boolean;
  MacAddress?: string;
  OnBuild: string[] | null;
  Labels: Record<string, string>;
  StopSignal?: string;
  StopTimeout?: number;
  Shell?: string[];
}

export type ContainerStatus = 'created' | 'running' | 'paused' | 'restarting' | 'removing' | 'exited' | 'dead';

export interface HealthResult {
  Start: string;
  End: string;
  ExitCode: number;
  Output: string;
}

export interface Health {
  Status: 'none' | 'starting' | 'healthy' | 'unhealthy';
  FailingStreak: number;
  Log: HealthResult[];
}

export interface ContainerState {
  Status: ContainerStatus;
  Running: boolean;
  Paused: boolean;
  Restarting: boolean;
  OOMKilled: boolean;
  Dead: boolean;
  Pid: number;
  ExitCode: number;
  Error: string;
  StartedAt: string;
  FinishedAt: string;
  Health?: Health;
}

export interface MountPoint {
  Type: 'bind' | 'volume' | 'tmpfs';
  Name?: string;
  Source: string;
  Destination: string;
  Driver?: string;
  Mode: string;
  RW: boolean;
  Propagation: string;
}

export interface PublishedPort {
  HostIp: string;
  HostPort: string;
}

export interface NetworkSettings {
  Bridge: string;
  SandboxID: string;
  SandboxKey: string;
  Ports: Record<string, PublishedPort[] | null>;
  HairpinMode: boolean;
  LinkLocalIPv6Address: string;
  LinkLocalIPv6PrefixLen: number;
  SecondaryIPAddresses: null;
  SecondaryIPv6Addresses: null;
  EndpointID: string;
  Gateway: string;
  GlobalIPv6Address: string;
  GlobalIPv6PrefixLen: number;
  IPAddress: string;
  IPPrefixLen: number;
  IPv6Gateway: string;
  MacAddress: string;
  Networks: Record<string, EndpointSettings>;
}

export interface ContainerInspect {
  Id: string;
  Created: string;
  Path: string;
  Args: string[];
  State: ContainerState;
  Image: string;
  ResolvConfPath: string;
  HostnamePath: string;
  HostsPath: string;
  LogPath: string;
  Name: string;
  RestartCount: number;
  Driver: string;
  Platform: string;
  MountLabel: string;
  ProcessLabel: string;
  AppArmorProfile: string;
  ExecIDs: string[] | null;
  HostConfig: HostConfig;
  GraphDriver: { Data: Record<string, string> | null; Name: string };
  SizeRw?: number;
  SizeRootFs?: number;
  Mounts: MountPoint[];
  Config: ContainerConfig;
  NetworkSettings: NetworkSettings;
}

export interface PortSummary {
  IP?: string;
  PrivatePort: number;
  PublicPort?: number;
  Type: string;
}

export interface ContainerSummary {
  Id: string;
  Names: string[];
  Image: string;
  ImageID: string;
  Command: string;
  Created: number;
  Ports: PortSummary[];
  SizeRw?: number;
  SizeRootFs?: number;
  Labels: Record<string, string>;
  State: string;
  Status: string;
  HostConfig: { NetworkMode: string; Annotations?: Record<string, string> };
  NetworkSettings: { Networks: Record<string, EndpointSettings> };
  Mounts: MountPoint[];
}

export interface WaitResponse {
  StatusCode: number;
  Error?: { Message: string } | null;
}

export interface TopResponse {
  Titles: string[];
  Processes: string[][];
}

export interface ContainersPruneResponse {
  ContainersDeleted: string[] | null;
  SpaceReclaimed: number;
}
