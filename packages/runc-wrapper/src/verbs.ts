/** Options and answers of the verbs. Names follow runc's flags. */
import type { RuntimeState } from '@boxship/oci';
import type { CallOptions, Stdio } from './invocation.ts';

export interface CreateOptions extends CallOptions {
  /** Absolute directory with `config.json`. */
  readonly bundle: string;
  /** Where the runtime writes the pid of the container's init. */
  readonly pidFile: string;
  readonly stdio?: Stdio;
  /** Socket that receives the master of the terminal; required with `process.terminal`. */
  readonly consoleSocket?: string | undefined;
  readonly isNoPivot?: boolean;
  readonly isNoNewKeyring?: boolean;
}

/** For {@link Runc.run}: the runtime stays until the container has ended. */
export interface RunOptions extends CallOptions {
  readonly bundle: string;
  readonly pidFile?: string;
  readonly stdio?: Stdio;
  readonly isNoPivot?: boolean;
  readonly isNoNewKeyring?: boolean;
}

export interface ExecOptions extends CallOptions {
  /** File with the OCI process as JSON. */
  readonly processFile: string;
  readonly pidFile: string;
  readonly stdio?: Stdio;
  readonly consoleSocket?: string | undefined;
}

/** For {@link Runc.execToEnd}: the runtime stays until the process has ended. */
export type ExecToEndOptions = Pick<ExecOptions, 'processFile' | 'stdio' | keyof CallOptions>;

/** What CRIU takes along, or brings back. */
export interface CriuOptions {
  readonly imagePath: string;
  /** Where CRIU writes its logs. */
  readonly workPath?: string;
  readonly isTcpEstablished?: boolean;
  readonly isExtUnixSk?: boolean;
  readonly isShellJob?: boolean;
  readonly isFileLocks?: boolean;
  readonly emptyNamespaces?: readonly string[];
  /** A file with options of CRIU itself, one a line, for what the runtime has no flag for (criu(8), configuration files). */
  readonly criuConfigPath?: string;
}

export interface CheckpointOptions extends CriuOptions, CallOptions {
  readonly isLeaveRunning?: boolean;
}

export interface RestoreOptions extends CriuOptions, CreateOptions {}

/** `state` and the rows of `list`; runc adds fields to those of the specification. */
export interface ContainerState extends RuntimeState {
  readonly rootfs?: string;
  readonly created?: string;
  readonly owner?: string;
}

export interface RuntimeVersion {
  readonly name: string;
  readonly version: string;
  readonly commit: string;
  readonly spec: string;
}

/** What `ps` prints as a table: the columns that ps(1) was asked for, one row a process. */
export interface ProcessTable {
  readonly headers: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

/** What `features` prints (runtime-spec features.md); the parts that the engine reads. */
export interface RuntimeFeatures {
  readonly ociVersionMin?: string;
  readonly ociVersionMax?: string;
  readonly hooks?: readonly string[];
  readonly mountOptions?: readonly string[];
  readonly linux?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** One line of `events`. Numbers beyond 2^53 lose precision: read the cgroup's files for exact limits. */
export interface RuntimeEvent {
  readonly type: 'stats' | 'oom' | 'intelRdt';
  readonly id: string;
  readonly data?: Readonly<Record<string, unknown>>;
}
