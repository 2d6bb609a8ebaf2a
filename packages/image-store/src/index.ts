export { contentFields, ingestFields } from './content/fields.ts';
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
export { snapshotFields } from './snapshots/fields.ts';
export type {
  Mount,
  SnapshotInfo,
  SnapshotKind,
  SnapshotOptions,
  Snapshotter,
  SnapshotUpdate,
  SnapshotUsage,
} from './snapshots/snapshotter.ts';
