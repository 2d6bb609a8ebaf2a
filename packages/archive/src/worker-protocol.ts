/**
 * The messages between the main thread and archive workers, and between two of these. A worker does one job at a time. What is
 * unpacked passes through slots of shared memory, from here to the worker that expands, and from there to the one that makes
 * files, which may have a helper for their contents. What is packed is transferred.
 */
import type { MessagePort } from 'node:worker_threads';
import { BoxshipError, type ErrorKind } from '@boxship/base';
import type { Digest } from '@boxship/oci';
import type { ApplyOptions, ApplyTarget } from './apply/target.ts';
import type { PackRequest } from './diff/request.ts';
import type { SharedSlots } from './expand/slots.ts';
import type { ArchiveLimits } from './limits.ts';
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
      readonly slots: SharedSlots;
      /** Where {@link FromExpander} comes from and {@link ToExpander} goes to. */
      readonly from: MessagePort;
      readonly helper: HelperLine;
    }
  | {
      readonly kind: 'contents';
      readonly slots: SharedSlots;
      /** Of the kernel's, for many writes at once. */
      readonly queue: bigint | undefined;
      /** To the worker that makes files. */
      readonly from: HelperLine;
      /** To the one that expands: {@link ToExpander}. */
      readonly freed: MessagePort;
    }
  | {
      readonly kind: 'expand';
      readonly input: SharedSlots;
      readonly output: SharedSlots;
      readonly limits: ArchiveLimits;
      readonly to: MessagePort;
      /** {@link ToExpander} of a helper. */
      readonly freed: MessagePort;
    }
  | FilledSlot
  | { readonly kind: 'end' }
  | { readonly kind: 'pack'; readonly request: PackRequest }
  | { readonly kind: 'pull'; readonly memory: ArrayBuffer }
  | { readonly kind: 'call'; readonly call: TreeCall }
  | { readonly kind: 'cancel' };

export interface FilledSlot {
  readonly kind: 'chunk';
  readonly slot: number;
  readonly length: number;
}

/** From the worker that expands to the one that makes files. */
export type FromExpander = FilledSlot | { readonly kind: 'end' };
/** And back: the number of a slot that was read. */
export type ToExpander = number;

/** Between the worker that makes files and one that writes their contents, which comes later or not at all. */
export interface HelperLine {
  /** {@link ToHelper} and {@link FromHelper}. */
  readonly port: MessagePort;
  /** Files that wait to be written; -1 as long as nobody writes them. No message: a busy worker reads those of one port for long. */
  readonly waiting: Int32Array<SharedArrayBuffer>;
}

/** What to do with a slot, which is free then. */
export type ToHelper =
  | { readonly kind: 'batch'; readonly slot: number | undefined; readonly table: Float64Array }
  | { readonly kind: 'end' };
/** All is written, or cannot be. */
export type FromHelper = { readonly kind: 'end' } | { readonly kind: 'failed'; readonly error: WireError };

export type LastMessage =
  | { readonly kind: 'expanded'; readonly digest: Digest; readonly size: number }
  | { readonly kind: 'applied'; readonly entries: number }
  | { readonly kind: 'written' };

export type FromWorker =
  | { readonly kind: 'freed'; readonly slot: number; readonly expandedBytes: number }
  | LastMessage
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

export function wireError(thrown: unknown): WireError {
  const { kind, message, details, stack } = BoxshipError.from(thrown);
  return { kind, message, details, stack };
}

export const thrownError = ({ kind, message, details }: WireError): BoxshipError =>
  new BoxshipError(kind, message, { details });

export const chunkBytes = 1024 * 1024;
