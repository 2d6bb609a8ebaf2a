/** What the verbs of the daemon work with. Built once in `daemon.ts`; every verb is a function that takes it. */
import type { KeyedMutex, Logger } from '@boxship/base';
import type { ContainerdClient } from '@boxship/containerd-client';
import type { NetworkController } from '@boxship/network';
import type { DaemonConfig } from './config.ts';
import type { ExecStore } from './containers/exec-store.ts';
import type { ContainerStore } from './containers/store.ts';
import type { EventBus } from './events/bus.ts';
import type { ImageIndex } from './images/image-index.ts';
import type { HostFacts } from './system/host-facts.ts';
import type { VolumeStore } from './volumes/store.ts';

/** containerd's services in one namespace. */
export type DaemonContainerd = Omit<ContainerdClient, typeof Symbol.asyncDispose>;

export interface Parts {
  readonly config: DaemonConfig;
  readonly log: Logger;
  readonly containerd: DaemonContainerd;
  /** Undefined: no network service is configured. */
  readonly network: NetworkController | undefined;
  readonly containers: ContainerStore;
  readonly execs: ExecStore;
  readonly images: ImageIndex;
  readonly volumes: VolumeStore;
  readonly events: EventBus;
  /** One queue per container id: start, exit handling, removal. */
  readonly mutex: KeyedMutex;
  readonly host: HostFacts;
  /** Fires when the daemon stops: background work ends. */
  readonly stopping: AbortSignal;
}
