/** Work on whole trees that a worker does in one go. Plain data: it crosses to the worker. */
export type TreeCall =
  | { readonly kind: 'measure'; readonly path: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'copy'; readonly from: string; readonly to: string };

/** What a tree occupies: blocks on the disk, each inode once. */
export interface TreeUsage {
  readonly inodes: number;
  readonly sizeBytes: number;
}
