/** What a pull needs and what it gives: apart from its work, since its parts need the same. */
import type { Logger } from '@boxship/base';
import type { Descriptor, ImageConfig, Platform, Reference } from '@boxship/oci';
import type { ContentStore } from './content/store.ts';
import type { Applier } from './diff.ts';
import type { Image, ImageStore } from './images/store.ts';
import type { LeaseManager } from './leases.ts';
import type { PullEvent } from './progress.ts';
import type { Registry } from './registry/registry.ts';
import type { Snapshotter } from './snapshots/snapshotter.ts';

export interface PullOptions {
  /** As a user writes it. */
  readonly reference: string | Reference;
  readonly registry: Registry;
  readonly content: ContentStore;
  /** Absent: no record is made, the caller does (and holds a lease meanwhile). */
  readonly images?: ImageStore;
  readonly leases?: LeaseManager;
  /** A lease of the caller's, used instead of an own one. */
  readonly lease?: string;
  /** Default: this host's. */
  readonly platform?: Platform;
  /** Fetch all platforms of an index; only the wanted one is unpacked. */
  readonly isAllPlatforms?: boolean;
  /** Where to unpack; absent: not at all. */
  readonly unpack?: { readonly snapshotter: Snapshotter; readonly snapshotterName: string; readonly applier: Applier };
  /** Labels of the image record. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Name of the image record; default the full reference. */
  readonly name?: string;
  /** Downloads at a time; default 3. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
  readonly log?: Logger;
  readonly onProgress?: (event: PullEvent) => void;
}

export interface PulledImage {
  readonly name: string;
  /** What the name points to: an index or a manifest. */
  readonly target: Descriptor;
  /** The manifest of the wanted platform. */
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
  readonly image: Image | undefined;
  /** False when the name pointed to the same target before. */
  readonly isNewer: boolean;
}
