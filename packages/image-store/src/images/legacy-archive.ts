/** The older image archive: manifest.json names a config and layer files, from which a manifest of today is made. */
import { randomBytes } from 'node:crypto';
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  formatReference,
  maxImageConfigBytes,
  mediaTypes,
  parseImageConfig,
  parseJson,
  parseNormalizedNamed,
} from '@boxship/oci';
import { readBlob, writeBlob } from '../content/blobs.ts';
import type { ArchiveFiles, ImportedImage, ImportOptions, StoredFile } from './archive-files.ts';

const layerTypes = {
  none: mediaTypes.dockerLayer,
  gzip: mediaTypes.dockerLayerGzip,
  zstd: mediaTypes.dockerLayerZstd,
} as const;
const maxLinks = 16;

/** @throws invalidArgument naming what does not fit */
export async function imagesOfLegacyArchive(
  options: ImportOptions,
  found: ArchiveFiles,
  bytes: Buffer,
): Promise<ImportedImage[]> {
  const document: unknown = parseJson(bytes, 'manifest.json');
  if (!Array.isArray(document))
    throw new BoxshipError('invalidArgument', 'invalid manifest.json, expected a list of images');
  const images: ImportedImage[] = [];
  for (const entry of document as ({ Config?: unknown; RepoTags?: unknown; Layers?: unknown } | null)[]) {
    const { Config, RepoTags, Layers } = entry ?? {};
    if (typeof Config !== 'string' || !Array.isArray(Layers ?? []))
      throw new BoxshipError('invalidArgument', 'invalid manifest.json: an image needs Config and Layers');
    const config = fileNamed(found, Config);
    const imageConfig = parseImageConfig(await readBlob(options.content, config, maxImageConfigBytes));
    const layers = ((Layers ?? []) as unknown[]).map((name) => fileNamed(found, String(name)));
    const expected = imageConfig.rootfs.diff_ids;
    if (expected.length !== layers.length)
      throw new BoxshipError(
        'invalidArgument',
        `invalid manifest, layers length mismatch: expected ${expected.length}, got ${layers.length}`,
      );
    for (const [index, layer] of layers.entries()) {
      if (layer.compression === 'none' && layer.digest !== expected[index])
        throw new BoxshipError(
          'invalidArgument',
          `invalid diffID for layer ${index}: expected "${expected[index]}", got "${layer.digest}"`,
        );
    }
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.dockerManifest,
      config: { mediaType: mediaTypes.dockerConfig, digest: config.digest, size: config.size },
      layers: layers.map(({ compression, digest, size }) => ({ mediaType: layerTypes[compression], digest, size })),
    };
    const target: Descriptor = await writeBlob(options.content, Buffer.from(JSON.stringify(manifest)), {
      ref: `load-manifest-${randomBytes(8).toString('hex')}`,
      mediaType: mediaTypes.dockerManifest,
      ...(options.lease === undefined ? {} : { lease: options.lease }),
    });
    const names = Array.isArray(RepoTags) ? RepoTags.filter((tag) => typeof tag === 'string') : [];
    if (names.length === 0) images.push({ name: undefined, target });
    for (const name of names) images.push({ name: formatReference(parseNormalizedNamed(name)), target });
  }
  return images;
}

/** A file by its name; equal layers are links to one another. */
function fileNamed({ files, links }: ArchiveFiles, name: string): StoredFile {
  let current = name;
  for (let count = 0; count < maxLinks; count++) {
    const file = files.get(current);
    if (file !== undefined) return file;
    const link = links.get(current);
    if (link === undefined) break;
    current = link;
  }
  throw new BoxshipError('invalidArgument', `image archive has no file ${JSON.stringify(name)}`);
}
