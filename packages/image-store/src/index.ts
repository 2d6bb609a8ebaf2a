export { isIntact, readBlob, writeBlob } from './content/blobs.ts';
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
export { type FetchContentOptions, fetchContent } from './fetch-content.ts';
export type { ImportedImage, ImportOptions } from './images/archive-files.ts';
export { type ExportOptions, exportImages, type ImageToExport } from './images/export-archive.ts';
export { imageFields } from './images/fields.ts';
export { referenceLabels, sourceLabel } from './images/gc-labels.ts';
export { importImages } from './images/import-archive.ts';
export { type ImportedRoot, type ImportRootOptions, importRoot, writeStream } from './images/import-root.ts';
export { MemoryImageStore } from './images/memory-store.ts';
export type { Image, ImageStore, NewImage } from './images/store.ts';
export {
  childrenOf,
  orderManifests,
  type PlatformImage,
  platformImage,
  platformImages,
  presentContent,
  readImageConfig,
  readManifest,
} from './images/walk.ts';
export { checkLabels, isImageLayer, labelKeys, updatedLabels } from './labels.ts';
export { holdLease, type Lease, type LeaseManager, type LeaseOptions, noLeases } from './leases.ts';
export { LocalApplier } from './local-applier.ts';
export { LocalComparer } from './local-comparer.ts';
export type { LayerState, PullEvent, PushEvent, PushState } from './progress.ts';
export { pull } from './pull.ts';
export type { PulledImage, PullOptions } from './pull-options.ts';
export { type PushOptions, push } from './push.ts';
export type { CredentialLookup, RegistryCredentials } from './registry/authorizer.ts';
export { fetchBlob } from './registry/fetch-blob.ts';
export { configureHosts } from './registry/host-config.ts';
export type { HostCapability, HostLookup, HostOptions, RegistryHost, TlsOptions } from './registry/hosts.ts';
export { checkLogin } from './registry/login.ts';
export { Registry, type RegistryOptions } from './registry/registry.ts';
export { type FetchedManifest, type FetchOptions, fetchManifest, resolve } from './registry/resolve.ts';
export { listTags } from './registry/tags.ts';
export { parseToml, type TomlTable, type TomlValue } from './registry/toml.ts';
export type { ProxyOptions } from './registry/transport.ts';
export { type SnapshotterDriver, type SnapshotterSettings, snapshotterDrivers } from './snapshots/drivers.ts';
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
export {
  type DatabaseOptions,
  inTransaction,
  type OpenedDatabase,
  openDatabase,
  type TransactionOptions,
} from './sqlite/open-database.ts';
export { type UnpackOptions, unpack } from './unpack.ts';
export { type UnpackTargetOptions, unpackTarget } from './unpack-target.ts';
