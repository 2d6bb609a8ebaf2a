/**
 * Where a content store keeps labels: a file system has room for bytes only. containerd keeps them in its metadata
 * database; a store used by itself keeps them in SQLite (`SqliteLabelStore`) or in memory.
 */
import type { Digest } from '@boxship/oci';

export interface BlobLabels {
  readonly labels: Readonly<Record<string, string>>;
  readonly updatedAt: Date;
}

export interface LabelStore {
  get(digest: Digest): BlobLabels | undefined;
  set(digest: Digest, labels: Readonly<Record<string, string>>): void;
  delete(digest: Digest): void;
  close(): void;
}

/** Labels that live as long as the process. */
export class MemoryLabelStore implements LabelStore {
  readonly #labels = new Map<Digest, BlobLabels>();

  get(digest: Digest): BlobLabels | undefined {
    return this.#labels.get(digest);
  }

  set(digest: Digest, labels: Readonly<Record<string, string>>): void {
    this.#labels.set(digest, { labels: { ...labels }, updatedAt: new Date() });
  }

  delete(digest: Digest): void {
    this.#labels.delete(digest);
  }

  close(): void {}
}
