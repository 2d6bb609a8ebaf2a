/**
 * The contracts between layers as archives (content) and layers as trees (mounts). The local implementations are
 * `LocalApplier` and `LocalComparer`; containerd-client speaks to the Diff service behind the same two interfaces. Layer
 * bytes never cross a wire behind them: only descriptors and mounts do.
 *
 * Example: a new image layer from what a container changed
 *   const lower = await snapshotter.view(`${key}-below`, parent);
 *   const upper = await snapshotter.mounts(key);
 *   const layer = await comparer.compare(lower, upper, { mediaType: mediaTypes.ociLayerGzip, ref: `commit-${key}` });
 */
import type { ArchiveReader } from '@boxship/archive';
import type { Descriptor } from '@boxship/oci';
import type { Mount } from './snapshots/snapshotter.ts';

export interface ApplyOptions {
  readonly signal?: AbortSignal;
  /** Bytes of the uncompressed archive handled so far, now and then. Remote appliers never call it. */
  readonly onProgress?: (bytes: number) => void;
}

export interface Applier {
  /**
   * Unpacks the layer `descriptor`, which is in the content store, over `mounts`.
   * @returns the descriptor of the uncompressed archive: its digest is the diff id
   * @throws notFound, unimplemented (media type, compression), invalidArgument (malformed), resourceExhausted (limits)
   */
  apply(descriptor: Descriptor, mounts: readonly Mount[], options?: ApplyOptions): Promise<Descriptor>;
  /**
   * The same with bytes that are not in the store yet; `open` gives them from the start, each time anew. Whether they are those
   * of the descriptor is for the caller to find out before it keeps what was unpacked. Absent where bytes cannot be handed over.
   */
  applyFrom?(
    open: () => Promise<ArchiveReader>,
    descriptor: Descriptor,
    mounts: readonly Mount[],
    options?: ApplyOptions,
  ): Promise<Descriptor>;
}

export interface CompareOptions {
  /** The layer type to write; default OCI tar+gzip. */
  readonly mediaType?: string;
  /** Name of the write in the content store; default a random one. */
  readonly ref?: string;
  /** Labels of the blob, beside `containerd.io/uncompressed`. */
  readonly labels?: Readonly<Record<string, string>>;
  readonly lease?: string;
  readonly signal?: AbortSignal;
}

export interface Comparer {
  /**
   * Writes the changes from `lower` to `upper` as a layer into the content store.
   * @returns the descriptor of the layer; `containerd.io/uncompressed` of the blob is its diff id
   * @throws unimplemented (media type)
   */
  compare(lower: readonly Mount[], upper: readonly Mount[], options?: CompareOptions): Promise<Descriptor>;
}
