/**
 * Unpacks layers of a local content store over mounts. Overlays are not mounted for it: the layer goes straight into the
 * upper directory. The rare layer that needs to see what is below (a hard link to a lower file, a way through a lower
 * link) is applied again over the mounted overlay.
 */
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  type ApplyArchiveOptions,
  type ApplyTarget,
  type ArchiveLimits,
  type ArchiveReader,
  applyArchive,
  needsMountCode,
  removeTree,
} from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import { type Descriptor, isLayerType, mediaTypes } from '@boxship/oci';
import { blobReader } from './content/blob-reader.ts';
import type { ContentProvider } from './content/store.ts';
import type { Applier, ApplyOptions } from './diff.ts';
import { boundDirectory, overlayDirectories } from './overlay-options.ts';
import type { Mount } from './snapshots/snapshotter.ts';
import { withMounts } from './snapshots/with-mounts.ts';

export class LocalApplier implements Applier {
  readonly #content: ContentProvider;
  readonly #limits: ArchiveLimits | undefined;

  constructor(content: ContentProvider, options: { readonly limits?: ArchiveLimits } = {}) {
    this.#content = content;
    this.#limits = options.limits;
  }

  async apply(descriptor: Descriptor, mounts: readonly Mount[], options: ApplyOptions = {}): Promise<Descriptor> {
    const open = () => blobReader(this.#content, descriptor, { signal: options.signal });
    return await this.applyFrom(open, descriptor, mounts, options);
  }

  async applyFrom(
    open: () => Promise<ArchiveReader>,
    descriptor: Descriptor,
    mounts: readonly Mount[],
    options: ApplyOptions = {},
  ): Promise<Descriptor> {
    if (!isLayerType(descriptor.mediaType))
      throw new BoxshipError('unimplemented', `currently unsupported media type: ${descriptor.mediaType}`);
    const unpack = async (target: ApplyTarget): Promise<Descriptor> => {
      const passed: ApplyArchiveOptions = {
        ...options,
        ...(this.#limits === undefined ? {} : { limits: this.#limits }),
      };
      const { digest, size } = await applyArchive(await open(), target, passed);
      return { mediaType: mediaTypes.ociLayer, digest, size };
    };
    const overlay = overlayDirectories(mounts);
    if (overlay?.upper !== undefined) {
      const { upper, lowers, isUserXattr } = overlay;
      try {
        return await unpack({ kind: 'overlay', upper, lowers, isUserXattr });
      } catch (error) {
        if (!BoxshipError.is(error) || error.details['code'] !== needsMountCode) throw error;
        await emptyDirectory(upper);
      }
    }
    const bound = boundDirectory(mounts);
    if (bound !== undefined && !bound.isReadOnly) return await unpack({ kind: 'tree', root: bound.path });
    return await withMounts(mounts, (root) => unpack({ kind: 'tree', root }));
  }
}

async function emptyDirectory(path: string): Promise<void> {
  mkdirSync(path, { recursive: true });
  for (const name of readdirSync(path)) await removeTree(join(path, name));
}
