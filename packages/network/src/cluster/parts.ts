/** What the verbs of the cluster work with. Made once by `cluster.ts`. */
import type { Context } from '../context.ts';
import type { ClusterStore } from './store.ts';
import type { ClusterView } from './view.ts';

export interface ClusterParts {
  readonly store: ClusterStore;
  readonly view: ClusterView;
  /** Asked for when it is there: the cluster is made with it. */
  readonly context: () => Context;
  /** Who this engine is to the others. */
  readonly engine: string;
  /** Address of this host, at which its tunnels end. */
  readonly host: string;
  /** The lease of this engine; undefined: not connected, what is not told now is told when it is. */
  readonly lease: () => bigint | undefined;
  /** Keys of addresses that were asked for, and whose endpoint is not on record yet. */
  readonly pending: Set<string>;
  /** Brings kernel and names of a network together with the view. */
  readonly settle: (network: string) => void;
}
