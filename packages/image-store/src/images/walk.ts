/** From a descriptor to what it consists of, as far as it is in the content store. */
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  formatPlatform,
  type ImageConfig,
  type ImageManifest,
  isAttestation,
  isConfigType,
  isIndexType,
  type ManifestDocument,
  maxImageConfigBytes,
  maxManifestBytes,
  type Platform,
  parseImageConfig,
  parseManifest,
  platformOfConfig,
  platformRank,
  selectPlatform,
} from '@boxship/oci';
import { readBlob } from '../content/blobs.ts';
import type { ContentProvider } from '../content/store.ts';

/** @throws notFound, invalidArgument */
export async function readManifest(content: ContentProvider, descriptor: Descriptor): Promise<ManifestDocument> {
  return parseManifest(await readBlob(content, descriptor, maxManifestBytes), descriptor.mediaType);
}

/** @throws notFound, invalidArgument */
export async function readImageConfig(
  content: ContentProvider,
  descriptor: Pick<Descriptor, 'digest'>,
): Promise<ImageConfig> {
  return parseImageConfig(await readBlob(content, descriptor, maxImageConfigBytes));
}

/** An image of one platform. */
export interface PlatformImage {
  readonly descriptor: Descriptor;
  readonly manifest: ImageManifest;
  readonly config: ImageConfig;
}

/**
 * The image that fits a platform best, below an index or standing alone, and with its manifest and config present.
 * Without `platform` the first one present is taken.
 * @throws notFound
 */
export async function platformImage(
  content: ContentProvider,
  target: Descriptor,
  platform?: Platform,
): Promise<PlatformImage> {
  for await (const image of platformImages(content, target, platform)) return image;
  throw noMatch(target, platform);
}

export const noMatch = (target: Descriptor, platform: Platform | undefined): BoxshipError =>
  new BoxshipError(
    'notFound',
    `no match for platform ${platform === undefined ? 'any' : formatPlatform(platform)} in manifest ${target.digest}`,
  );

/** All images below a target that are present and run on `platform` (if given), best first. */
export async function* platformImages(
  content: ContentProvider,
  target: Descriptor,
  platform?: Platform,
): AsyncGenerator<PlatformImage, void, undefined> {
  const document = await readManifest(content, target);
  const candidates = document.kind === 'index' ? orderManifests(document.manifests, platform) : [target];
  for (const descriptor of candidates) {
    try {
      if (isIndexType(descriptor.mediaType)) {
        yield* platformImages(content, descriptor, platform);
        continue;
      }
      const manifest = descriptor === target ? document : await readManifest(content, descriptor);
      if (manifest.kind !== 'manifest' || !isConfigType(manifest.config.mediaType)) continue;
      const config = await readImageConfig(content, manifest.config);
      const isFitting =
        platform === undefined ||
        descriptor.platform !== undefined ||
        platformRank(platform, platformOfConfig(config)) !== undefined;
      if (isFitting) yield { descriptor, manifest, config };
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound') || descriptor === target) throw error; // that platform was not pulled
    }
  }
}

/** The entries of an index that are images and run on `platform`, best first; entries without a platform come last. */
export function orderManifests(manifests: readonly Descriptor[], platform?: Platform): Descriptor[] {
  const images = manifests.filter((entry) => !isAttestation(entry));
  if (platform === undefined) return images;
  return [
    ...selectPlatform(platform, images, (entry) => entry.platform),
    ...images.filter((entry) => entry.platform === undefined || entry.platform.os === ''),
  ];
}

/** Every descriptor reachable from a target whose bytes are present, parents first; what is absent is left out with its children. */
export async function* presentContent(
  content: ContentProvider,
  target: Descriptor,
): AsyncGenerator<Descriptor, void, undefined> {
  try {
    await content.info(target.digest);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return;
    throw error;
  }
  yield target;
  for (const child of await childrenOf(content, target)) yield* presentContent(content, child);
}

/** What a manifest or index refers to; nothing for other content. */
export async function childrenOf(content: ContentProvider, descriptor: Descriptor): Promise<readonly Descriptor[]> {
  if (!/manifest|index/.test(descriptor.mediaType)) return [];
  const document = await readManifest(content, descriptor);
  return document.kind === 'index' ? document.manifests : [document.config, ...document.layers];
}
