/** What loading an image archive takes, finds in the archive and gives: shared by its two forms. */
import type { Descriptor, Digest } from '@boxship/oci';
import type { ContentStore } from '../content/store.ts';

export interface ImportOptions {
  readonly content: ContentStore;
  readonly source: AsyncIterable<Uint8Array>;
  readonly lease?: string;
  readonly signal?: AbortSignal;
  /** A member of so many bytes has been read so far. */
  readonly onProgress?: (event: { readonly name: string; readonly current: number; readonly total: number }) => void;
}

export interface ImportedImage {
  /** Full reference; undefined for an image without a name. */
  readonly name: string | undefined;
  readonly target: Descriptor;
}

/** A file of the archive, by its name in it. */
export interface StoredFile {
  readonly digest: Digest;
  readonly size: number;
  readonly compression: 'none' | 'gzip' | 'zstd';
}

export interface ArchiveFiles {
  readonly files: ReadonlyMap<string, StoredFile>;
  readonly links: ReadonlyMap<string, string>;
  /** The small files that describe the rest. */
  readonly texts: ReadonlyMap<string, Buffer>;
}
