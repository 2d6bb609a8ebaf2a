/** Where a layer goes and how deletions are expressed there. Plain data: it crosses to the worker. */
import type { ArchiveLimits } from '../limits.ts';

export type ApplyTarget =
  /**
   * A plain directory, or any mounted tree: deletions delete. With `path`, members go below that directory, which must exist;
   * links are still resolved in `root`, as a process inside it would see them.
   */
  | { readonly kind: 'tree'; readonly root: string; readonly path?: string }
  /**
   * The upper directory of an overlay, without mounting it: deletions become 0:0 devices and opaque attributes.
   * `lowers` are the directories below, nearest first: missing parents take their metadata from there.
   */
  | {
      readonly kind: 'overlay';
      readonly upper: string;
      readonly lowers: readonly string[];
      readonly isUserXattr?: boolean;
    };

export interface ApplyOptions {
  /** `literal`: names that begin with `.wh.` are ordinary files (copying into a container). Default `apply`. */
  readonly whiteouts?: 'apply' | 'literal';
  /** Refuse to replace a directory by something else and the reverse. Default false. */
  readonly keepDirectories?: boolean;
  /** Owner of everything unpacked, instead of the archive's. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  readonly limits?: ArchiveLimits;
}

/** `details.code` of the error that asks for applying the layer over a mounted overlay instead of its upper directory. */
export const needsMountCode = 'ENEEDMOUNT';
