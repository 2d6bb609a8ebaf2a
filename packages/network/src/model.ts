/** What the controller knows and keeps: the records of its store and of its memory. Records are replaced, never changed. */
import type { Endpoint, Network, PublishedPort, SandboxSpec } from './controller.ts';

/**
 * `creating`: an intent; whatever of it exists is taken back after a crash. `ready`: stands on its own. `deleting`: an intent;
 * taken back after a crash as well.
 */
export type RecordState = 'creating' | 'ready' | 'deleting';

export interface NetworkRecord {
  readonly state: RecordState;
  readonly network: Network;
}

export interface EndpointRecord {
  readonly endpoint: Endpoint;
  /** The end of the veth pair in the host; empty for host and null networks. */
  readonly hostInterface: string;
}

export interface SandboxRecord {
  readonly state: RecordState;
  readonly spec: SandboxSpec;
  /** The boot in which it was made: kernel objects do not outlive it. */
  readonly bootId: string;
  readonly namespacePath: string;
  readonly endpoints: readonly EndpointRecord[];
  /** Host side of every published port; the container side is the gateway endpoint. */
  readonly ports: readonly PublishedPort[];
  /** A resolver serves it at 127.0.0.11: since it first joined a network whose members have names. */
  readonly hasResolver?: boolean;
  /** The endpoint of a foreign engine, which owns the namespace; we know it by the end in the host alone. */
  readonly isForeign?: boolean;
  /** Interface names are not used twice in the life of a sandbox. */
  readonly nextInterface: number;
}
