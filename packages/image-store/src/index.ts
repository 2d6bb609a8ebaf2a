export { readBlob, writeBlob } from './content/blobs.ts';
export { contentFields, ingestFields } from './content/fields.ts';
export { FsContentStore, type FsContentStoreOptions } from './content/fs-store.ts';
export { type BlobLabels, type LabelStore, MemoryLabelStore } from './content/label-store.ts';
export { MemoryContentStore } from './content/memory-store.ts';
export { SqliteLabelStore } from './content/sqlite-label-store.ts';
export type {
  CommitOptions,
  ContentInfo,
  ContentIngester,
  ContentManager,
  ContentName,
  ContentProvider,
  ContentReader,
  ContentStore,
  ContentUpdate,
  ContentWriter,
  IngestManager,
  IngestStatus,
  ReadOptions,
  WriterOptions,
} from './content/store.ts';
export type { Applier, ApplyOptions, CompareOptions, Comparer } from './diff.ts';
export { imageFields } from './images/fields.ts';
export type { Image, ImageStore, NewImage } from './images/store.ts';
export { checkLabels, labelKeys, updatedLabels } from './labels.ts';
export { holdLease, type Lease, type LeaseManager, type LeaseOptions, noLeases } from './leases.ts';
export { LocalApplier } from './local-applier.ts';
export { LocalComparer } from './local-comparer.ts';
export { snapshotFields } from './snapshots/fields.ts';
export { NativeSnapshotter, type NativeSnapshotterOptions } from './snapshots/native.ts';
export { OverlaySnapshotter, type OverlaySnapshotterOptions } from './snapshots/overlay.ts';
export type {
  Mount,
  SnapshotInfo,
  SnapshotKind,
  SnapshotOptions,
  Snapshotter,
  SnapshotUpdate,
  SnapshotUsage,
} from './snapshots/snapshotter.ts';
export { mountAll, withMounts } from './snapshots/with-mounts.ts';
export { type DatabaseOptions, inTransaction, type OpenedDatabase, openDatabase } from './sqlite/open-database.ts';
