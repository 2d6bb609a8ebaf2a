/**
 * Writes the differences of two snapshots as a layer into a local content store. For an overlay over the very layers it is
 * compared with, the upper directory is the answer; everything else is walked side by side.
 */
import { randomBytes } from 'node:crypto';
import { compress, needsMountCode, type PackRequest, pack } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import { type Descriptor, layerCompression, mediaTypes } from '@boxship/oci';
import type { ContentStore } from './content/store.ts';
import type { CompareOptions, Comparer } from './diff.ts';
import { labelKeys, updatedLabels } from './labels.ts';
import { boundDirectory, overlayDirectories } from './overlay-options.ts';
import type { Mount } from './snapshots/snapshotter.ts';
import { withMounts } from './snapshots/with-mounts.ts';

const layerTypes: ReadonlySet<string> = new Set([
  mediaTypes.ociLayer,
  mediaTypes.ociLayerGzip,
  mediaTypes.ociLayerZstd,
  mediaTypes.dockerLayer,
  mediaTypes.dockerLayerGzip,
  mediaTypes.dockerLayerZstd,
]);

export class LocalComparer implements Comparer {
  readonly #content: ContentStore;

  constructor(content: ContentStore) {
    this.#content = content;
  }

  async compare(lower: readonly Mount[], upper: readonly Mount[], options: CompareOptions = {}): Promise<Descriptor> {
    const mediaType = options.mediaType ?? mediaTypes.ociLayerGzip;
    if (!layerTypes.has(mediaType))
      throw new BoxshipError('unimplemented', `unsupported diff media type: ${mediaType}`);
    const own = ownChanges(lower, upper);
    if (own !== undefined) {
      try {
        return await this.#write(own, mediaType, options);
      } catch (error) {
        if (!BoxshipError.is(error) || error.details['code'] !== needsMountCode) throw error;
      }
    }
    return await withMounts(upper, (upperRoot) =>
      lower.length === 0
        ? this.#write({ kind: 'changes', upper: upperRoot }, mediaType, options)
        : withMounts(lower, (lowerRoot) =>
            this.#write({ kind: 'changes', lower: lowerRoot, upper: upperRoot }, mediaType, options),
          ),
    );
  }

  async #write(request: PackRequest, mediaType: string, options: CompareOptions): Promise<Descriptor> {
    const ref = options.ref ?? `diff-${randomBytes(8).toString('hex')}`;
    const lease = options.lease === undefined ? {} : { lease: options.lease };
    const packed = pack(request, options.signal === undefined ? {} : { signal: options.signal });
    await using writer = await this.#content.writer({ ref, ...lease });
    if (writer.status().offset > 0) await writer.truncate(0); // an earlier attempt; the tree may have changed since
    for await (const chunk of compress(packed.chunks, layerCompression(mediaType))) await writer.write(chunk);
    const digest = writer.digest();
    const size = writer.status().offset;
    const labels = { ...options.labels, [labelKeys.uncompressed]: packed.summary().digest };
    try {
      await writer.commit({ size, expected: digest, labels });
    } catch (error) {
      if (!BoxshipError.is(error, 'alreadyExists')) throw error;
      const known = await this.#content.info(digest);
      await this.#content.update({
        digest,
        labels: updatedLabels(known.labels, labels, Object.keys(labels)),
        fields: Object.keys(labels),
      });
    }
    return { mediaType, digest, size };
  }
}

/** The upper directory, if `lower` shows exactly what is below it. */
function ownChanges(lower: readonly Mount[], upper: readonly Mount[]): PackRequest | undefined {
  const above = overlayDirectories(upper);
  if (above?.upper === undefined) {
    // An active snapshot without parent against nothing: all of it.
    const bound = boundDirectory(upper);
    return bound !== undefined && lower.length === 0 ? { kind: 'changes', upper: bound.path } : undefined;
  }
  const below = overlayDirectories(lower);
  const bound = boundDirectory(lower);
  const belowLayers =
    below !== undefined
      ? below.upper === undefined
        ? below.lowers
        : [below.upper, ...below.lowers]
      : bound === undefined
        ? []
        : [bound.path];
  const isSame =
    belowLayers.length === above.lowers.length && belowLayers.every((path, index) => path === above.lowers[index]);
  return isSame ? { kind: 'overlay', upper: above.upper, isUserXattr: above.isUserXattr } : undefined;
}
