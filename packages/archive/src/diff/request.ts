/** What to pack. Plain data: it crosses to the worker. Paths are text; names below them are bytes. */
export interface PackOptions {
  /** Names (clean, without leading slash) that are left out with everything below. */
  readonly exclude?: readonly string[];
  /**
   * Which extended attributes to keep: `portable` = file capabilities and `user.`; `capabilities` = as the reference
   * differs. Default portable.
   */
  readonly xattrs?: 'portable' | 'capabilities';
}

export type PackRequest =
  /** Everything below `root`, or below the path inside it (resolved in the root), under the name `as` (default its base name). */
  | {
      readonly kind: 'tree';
      readonly root: string;
      readonly path?: string;
      readonly as?: string;
      readonly options?: PackOptions;
    }
  /** The changes from one tree to another, by walking both. Without `lower`: everything is new. */
  | { readonly kind: 'changes'; readonly lower?: string; readonly upper: string; readonly options?: PackOptions }
  /** The changes that the upper directory of an overlay holds. */
  | {
      readonly kind: 'overlay';
      readonly upper: string;
      readonly isUserXattr?: boolean;
      readonly options?: PackOptions;
    };
