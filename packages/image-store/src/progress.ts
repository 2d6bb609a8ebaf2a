/**
 * What pull, push and import tell while they work. The events carry what Docker's progress lines need: a layer id is the
 * first 12 digits of its blob digest, states follow each other in the order below.
 */
import type { Descriptor, Digest } from '@boxship/oci';

export type LayerState =
  | 'pulling' // known, not begun: "Pulling fs layer"
  | 'waiting' // for its turn: "Waiting"
  | 'downloading' // `current` of `total` bytes
  | 'verifying' // "Verifying Checksum"
  | 'downloaded' // "Download complete"
  | 'extracting' // `current` of `total` compressed bytes
  | 'complete' // "Pull complete"
  | 'exists'; // "Already exists"

export type PullEvent =
  | { readonly kind: 'resolving'; readonly reference: string }
  | { readonly kind: 'resolved'; readonly reference: string; readonly target: Descriptor }
  | {
      readonly kind: 'layer';
      readonly digest: Digest;
      readonly state: LayerState;
      /** Bytes; in states that count. */
      readonly current?: number;
      readonly total?: number;
    }
  /** A download is repeated after so many seconds. */
  | { readonly kind: 'retrying'; readonly digest?: Digest; readonly seconds: number }
  | { readonly kind: 'done'; readonly target: Descriptor; readonly isNewer: boolean };

export type PushState = 'preparing' | 'waiting' | 'pushing' | 'pushed' | 'exists' | 'mounted';

export type PushEvent =
  | {
      readonly kind: 'layer';
      readonly digest: Digest;
      /** The diff id, by which Docker names a layer when pushing. */
      readonly diffId?: Digest;
      readonly state: PushState;
      readonly current?: number;
      readonly total?: number;
      /** Repository, in state `mounted`. */
      readonly from?: string;
    }
  | { readonly kind: 'retrying'; readonly digest?: Digest; readonly seconds: number }
  | { readonly kind: 'done'; readonly target: Descriptor; readonly tag?: string };
