/**
 * The labels that the image store reads and writes, and the rule for updating label sets. Keys are containerd's; garbage
 * collection and foreign clients read them.
 */
import { BoxshipError } from '@boxship/base';

export const labelKeys = {
  /** On a compressed layer: the digest of the tar inside. */
  uncompressed: 'containerd.io/uncompressed',
  gcRoot: 'containerd.io/gc.root',
  gcExpire: 'containerd.io/gc.expire',
  gcFlat: 'containerd.io/gc.flat',
  /** Prefix of edges to content: `.config`, `.l.<n>` (layer), `.m.<n>` (manifest). */
  gcRefContent: 'containerd.io/gc.ref.content',
  /** Prefix of edges to snapshots, followed by the snapshotter's name. */
  gcRefSnapshot: 'containerd.io/gc.ref.snapshot',
  /** Prefix, followed by the registry host; the value lists the repositories that hold the blob. */
  distributionSource: 'containerd.io/distribution.source',
  /** On a snapshot being prepared: the chain id of the layer it becomes, which a remote snapshotter may answer for at once. */
  snapshotRef: 'containerd.io/snapshot.ref',
} as const;

/** Whether a snapshot is made of a blob and named by its chain id, as clients label what they unpack: it can be made again. */
export const isImageLayer = (labels: Readonly<Record<string, string>> | undefined): boolean =>
  labels?.[labelKeys.snapshotRef] !== undefined;

const maxLabelBytes = 4096;

/** @throws invalidArgument: containerd's limit, key and value together */
export function checkLabels(labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    const size = Buffer.byteLength(key) + Buffer.byteLength(value);
    if (size > maxLabelBytes)
      throw new BoxshipError(
        'invalidArgument',
        `label key and value length (${size} bytes) greater than maximum size (${maxLabelBytes} bytes), key: ${key.slice(0, 64)}`,
      );
  }
}

/** The labels after an update: all replaced, or only `fields`, of which those absent from `changes` are removed. */
export function updatedLabels(
  current: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string>>,
  fields?: readonly string[],
): Record<string, string> {
  if (fields === undefined) return { ...changes };
  const labels: Record<string, string> = { ...current };
  for (const key of fields) {
    const value = changes[key];
    if (value === undefined || value === '') delete labels[key];
    else labels[key] = value;
  }
  return labels;
}
