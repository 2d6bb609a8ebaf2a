/**
 * A container as the daemon knows it. `record` is what survives the daemon: it is written before every side effect it
 * announces (`phase`), and everything else can be rebuilt from it, containerd and the network.
 *
 * Life cycle: `creating` → `ready` → `removing` → gone. A `ready` container is created, running, paused, restarting or exited
 * by its state; `isStarting` is the intent of a start that has not finished.
 */
import { BoxshipError } from '@boxship/base';
import type { ContainerConfig, ContainerState, Health, HostConfig, MountRequest } from '@boxship/engine-api';
import type { Endpoint, EndpointSpec, PublishedPort } from '@boxship/network';
import { zeroTime } from '../clock.ts';
import type { ProcessInput } from './process-input.ts';
import type { Waiters } from './waiters.ts';

/** One mount of a container: a volume, a host directory or a tmpfs, already decided. */
export interface MountRecord {
  readonly type: 'bind' | 'volume' | 'tmpfs';
  /** Volume name. */
  readonly name?: string;
  readonly source: string;
  readonly destination: string;
  readonly driver?: string;
  readonly mode: string;
  readonly isReadWrite: boolean;
  readonly propagation: string;
  /** Made by this container and removed with it. */
  readonly isAnonymous?: boolean;
  /** Make a missing host directory (`-v`, not `--mount`). */
  readonly mayCreateSource?: boolean;
  /** Do not fill an empty volume from the image. */
  readonly isNoCopy?: boolean;
  readonly spec?: MountRequest;
}

export interface RootMount {
  readonly type: string;
  readonly source: string;
  readonly target: string;
  readonly options: readonly string[];
}

/** The network side of a running container. */
export interface SandboxRecord {
  readonly id: string;
  readonly namespacePath: string;
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
}

/** A legacy link to another container. */
export interface LinkRecord {
  readonly id: string;
  /** When the link was made; the container may be called otherwise now, or be gone. */
  readonly name: string;
  readonly alias: string;
}

export interface ContainerRecord {
  readonly id: string;
  /** Without the slash. */
  name: string;
  readonly created: string;
  readonly path: string;
  readonly args: readonly string[];
  readonly config: ContainerConfig;
  hostConfig: HostConfig;
  /** `sha256:…` of the image configuration; empty for a container without image. */
  readonly imageId: string;
  mounts: readonly MountRecord[];
  /** What was asked of each network, by network name. */
  endpoints: Record<string, EndpointSpec>;
  readonly links?: readonly LinkRecord[];
  state: ContainerState;
  /** Start time of the init in clock ticks since boot: with the pid it names one process. */
  pidStartTicks: number;
  restartCount: number;
  isManuallyStopped: boolean;
  hasBeenStarted: boolean;
  readonly snapshotter: string;
  rootMounts: readonly RootMount[];
  readonly logPath: string;
  phase: 'creating' | 'ready' | 'removing';
  isStarting: boolean;
  sandbox: SandboxRecord | undefined;
}

export interface Container {
  readonly id: string;
  record: ContainerRecord;
  readonly waiters: Waiters;
  /** Output connections to be opened between create and start of the next task. */
  readonly attachments: Set<AttachmentPort>;
  stdin: ProcessInput | undefined;
  /** The exit event has arrived; the state follows when its turn comes. Ends reconnecting. */
  hasTaskExited: boolean;
  hasOomEvent: boolean;
  /** Ends the wait of a pending restart. */
  pendingRestart: AbortController | undefined;
  restartDelayMs: number;
  /** Ends the health probes of this run. */
  healthMonitor: AbortController | undefined;
  health: Health | undefined;
}

/** What a start tells the attachments waiting for it. */
export interface AttachmentPort {
  /** The attach socket exists: connect now. Resolves when no output can be missed any more. */
  connect(): Promise<void>;
  /** The process runs: its input may flow. */
  started(): void;
  /** The start failed: end. */
  abandon(): void;
}

export function initialState(): ContainerState {
  return {
    Status: 'created',
    Running: false,
    Paused: false,
    Restarting: false,
    OOMKilled: false,
    Dead: false,
    Pid: 0,
    ExitCode: 0,
    Error: '',
    StartedAt: zeroTime,
    FinishedAt: zeroTime,
  };
}

export const isTaskAlive = (container: Container): boolean =>
  container.record.state.Running && !container.record.state.Restarting;

/** Attributes of the container's events: labels, image, name. */
export function eventAttributes(record: ContainerRecord): Record<string, string> {
  return { ...record.config.Labels, image: record.config.Image, name: record.name };
}

export const notRunning = (container: Container): BoxshipError =>
  new BoxshipError('conflict', `container ${container.id} is not running`);
