/**
 * The OCI runtime specification 1.0.2/1.1 as types: what `config.json` of a bundle holds. Names are the specification's.
 * Numbers are JSON numbers; only fields that the engine writes or reads are spelled out.
 */
export interface RuntimeSpec {
  readonly ociVersion: string;
  readonly process?: RuntimeProcess;
  readonly root?: { readonly path: string; readonly readonly?: boolean };
  readonly hostname?: string;
  readonly domainname?: string;
  readonly mounts?: readonly RuntimeMount[];
  readonly hooks?: RuntimeHooks;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux?: RuntimeLinux;
}

export interface RuntimeProcess {
  readonly terminal?: boolean;
  readonly consoleSize?: { readonly height: number; readonly width: number };
  readonly user: RuntimeUser;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  readonly cwd: string;
  readonly capabilities?: RuntimeCapabilities;
  readonly rlimits?: readonly RuntimeRlimit[];
  readonly noNewPrivileges?: boolean;
  readonly apparmorProfile?: string;
  readonly selinuxLabel?: string;
  readonly oomScoreAdj?: number;
  readonly ioPriority?: { readonly class: string; readonly priority: number };
}

export interface RuntimeUser {
  readonly uid: number;
  readonly gid: number;
  readonly umask?: number;
  readonly additionalGids?: readonly number[];
}

export interface RuntimeCapabilities {
  readonly bounding?: readonly string[];
  readonly effective?: readonly string[];
  readonly inheritable?: readonly string[];
  readonly permitted?: readonly string[];
  readonly ambient?: readonly string[];
}

export interface RuntimeRlimit {
  /** `RLIMIT_NOFILE` … */
  readonly type: string;
  readonly hard: number;
  readonly soft: number;
}

export interface RuntimeIdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export interface RuntimeMount {
  readonly destination: string;
  readonly type?: string;
  readonly source?: string;
  readonly options?: readonly string[];
  readonly uidMappings?: readonly RuntimeIdMapping[];
  readonly gidMappings?: readonly RuntimeIdMapping[];
}

export interface RuntimeHook {
  readonly path: string;
  readonly args?: readonly string[];
  readonly env?: readonly string[];
  /** Seconds. */
  readonly timeout?: number;
}

export interface RuntimeHooks {
  readonly prestart?: readonly RuntimeHook[];
  readonly createRuntime?: readonly RuntimeHook[];
  readonly createContainer?: readonly RuntimeHook[];
  readonly startContainer?: readonly RuntimeHook[];
  readonly poststart?: readonly RuntimeHook[];
  readonly poststop?: readonly RuntimeHook[];
}

export type RuntimeNamespaceType = 'pid' | 'network' | 'mount' | 'ipc' | 'uts' | 'user' | 'cgroup' | 'time';

export interface RuntimeNamespace {
  readonly type: RuntimeNamespaceType;
  /** An existing namespace to join; absent = a new one. */
  readonly path?: string;
}

export interface RuntimeDevice {
  readonly path: string;
  readonly type: 'c' | 'b' | 'u' | 'p';
  readonly major?: number;
  readonly minor?: number;
  readonly fileMode?: number;
  readonly uid?: number;
  readonly gid?: number;
}

export interface RuntimeDeviceRule {
  readonly allow: boolean;
  readonly type?: 'a' | 'b' | 'c';
  readonly major?: number;
  readonly minor?: number;
  /** Letters of `rwm`. */
  readonly access?: string;
}

export interface RuntimeLinux {
  readonly uidMappings?: readonly RuntimeIdMapping[];
  readonly gidMappings?: readonly RuntimeIdMapping[];
  readonly sysctl?: Readonly<Record<string, string>>;
  readonly resources?: RuntimeResources;
  readonly cgroupsPath?: string;
  readonly namespaces?: readonly RuntimeNamespace[];
  readonly devices?: readonly RuntimeDevice[];
  readonly seccomp?: RuntimeSeccomp;
  readonly rootfsPropagation?: string;
  readonly maskedPaths?: readonly string[];
  readonly readonlyPaths?: readonly string[];
  readonly mountLabel?: string;
  readonly intelRdt?: Readonly<Record<string, unknown>>;
  readonly personality?: { readonly domain: string; readonly flags?: readonly string[] };
}

export interface RuntimeResources {
  readonly devices?: readonly RuntimeDeviceRule[];
  readonly memory?: RuntimeMemory;
  readonly cpu?: RuntimeCpu;
  readonly pids?: { readonly limit: number };
  readonly blockIO?: RuntimeBlockIO;
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[];
  readonly network?: {
    readonly classID?: number;
    readonly priorities?: readonly { readonly name: string; readonly priority: number }[];
  };
  readonly rdma?: Readonly<Record<string, { readonly hcaHandles?: number; readonly hcaObjects?: number }>>;
  /** cgroup v2 files written as they stand. */
  readonly unified?: Readonly<Record<string, string>>;
}

/** Bytes; -1 is unlimited. */
export interface RuntimeMemory {
  readonly limit?: number;
  readonly reservation?: number;
  /** Memory and swap together. */
  readonly swap?: number;
  readonly kernel?: number;
  readonly kernelTCP?: number;
  readonly swappiness?: number;
  readonly disableOOMKiller?: boolean;
  readonly useHierarchy?: boolean;
  readonly checkBeforeUpdate?: boolean;
}

/** Times in microseconds. */
export interface RuntimeCpu {
  readonly shares?: number;
  readonly quota?: number;
  readonly burst?: number;
  readonly period?: number;
  readonly realtimeRuntime?: number;
  readonly realtimePeriod?: number;
  readonly cpus?: string;
  readonly mems?: string;
  readonly idle?: number;
}

export interface RuntimeBlockDevice {
  readonly major: number;
  readonly minor: number;
}

export interface RuntimeBlockIO {
  readonly weight?: number;
  readonly leafWeight?: number;
  readonly weightDevice?: readonly (RuntimeBlockDevice & { readonly weight?: number; readonly leafWeight?: number })[];
  readonly throttleReadBpsDevice?: readonly (RuntimeBlockDevice & { readonly rate: number })[];
  readonly throttleWriteBpsDevice?: readonly (RuntimeBlockDevice & { readonly rate: number })[];
  readonly throttleReadIOPSDevice?: readonly (RuntimeBlockDevice & { readonly rate: number })[];
  readonly throttleWriteIOPSDevice?: readonly (RuntimeBlockDevice & { readonly rate: number })[];
}

export interface RuntimeSeccompArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  /** `SCMP_CMP_EQ` … */
  readonly op: string;
}

export interface RuntimeSeccompSyscall {
  readonly names: readonly string[];
  /** `SCMP_ACT_ALLOW`, `SCMP_ACT_ERRNO` … */
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly RuntimeSeccompArgument[];
}

export interface RuntimeSeccomp {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly architectures?: readonly string[];
  readonly flags?: readonly string[];
  readonly listenerPath?: string;
  readonly listenerMetadata?: string;
  readonly syscalls?: readonly RuntimeSeccompSyscall[];
}

/** The state that a runtime prints for `state` and hands to hooks. */
export interface RuntimeState {
  readonly ociVersion: string;
  readonly id: string;
  readonly status: 'creating' | 'created' | 'running' | 'stopped' | 'paused';
  readonly pid?: number;
  readonly bundle: string;
  readonly annotations?: Readonly<Record<string, string>>;
}
