/**
 * The messages between the main thread and an archive worker. A worker does one job at a time. What is unpacked passes through
 * slots of shared memory: only their numbers are sent, and the worker sends each back, which is also the flow control. What
 * is packed is transferred.
 */
import type { ErrorKind } from '@boxship/base';
import type { Digest } from '@boxship/oci';
import type { ApplyOptions, ApplyTarget } from './apply/target.ts';
import type { PackRequest } from './diff/request.ts';
import type { TreeCall, TreeUsage } from './tree/calls.ts';

export interface ArchiveSummary {
  /** Digest of the uncompressed archive, to the last byte that was read: the diff id of a layer. */
  readonly digest: Digest;
  /** Its bytes. */
  readonly size: number;
  readonly entries: number;
}

export type ToWorker =
  | {
      readonly kind: 'apply';
      readonly target: ApplyTarget;
      readonly options: ApplyOptions;
      /** Slots of {@link chunkBytes} each. */
      readonly memory: SharedArrayBuffer;
    }
  | { readonly kind: 'chunk'; readonly slot: number; readonly length: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'pack'; readonly request: PackRequest }
  | { readonly kind: 'pull'; readonly memory: ArrayBuffer }
  | { readonly kind: 'call'; readonly call: TreeCall }
  | { readonly kind: 'cancel' };

export type FromWorker =
  | { readonly kind: 'free'; readonly slot: number }
  | { readonly kind: 'packed'; readonly memory: ArrayBuffer; readonly length: number }
  | { readonly kind: 'done'; readonly summary: ArchiveSummary }
  | { readonly kind: 'failed'; readonly error: WireError }
  | { readonly kind: 'returned'; readonly usage: TreeUsage | undefined }
  | { readonly kind: 'cancelled' };

/** An error as it crosses threads. */
export interface WireError {
  readonly kind: ErrorKind;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly stack: string | undefined;
}

export const chunkBytes = 1024 * 1024;
