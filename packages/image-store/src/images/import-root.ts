/** `docker import`: a file system tree as an archive becomes an image of one layer. */
import { randomBytes } from 'node:crypto';
import { compress, decompress } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  type Digest,
  Digester,
  hostPlatform,
  type ImageConfig,
  type ImageRunConfig,
  type LayerCompression,
  mediaTypes,
  type Platform,
} from '@boxship/oci';
import { writeBlob } from '../content/blobs.ts';
import type { ContentIngester, ContentManager, ContentProvider } from '../content/store.ts';
import { labelKeys } from '../labels.ts';

export interface ImportRootOptions {
  readonly content: ContentIngester & ContentProvider & ContentManager;
  /** A tar archive, compressed or not. */
  readonly source: AsyncIterable<Uint8Array>;
  readonly platform?: Platform;
  /** What `--change` has made of it. */
  readonly config?: ImageRunConfig;
  /** History comment; Docker's default is `Imported from -`. */
  readonly comment?: string;
  /** How the layer is stored; default gzip. */
  readonly compression?: LayerCompression;
  readonly lease?: string;
  readonly created?: Date;
  /** Uncompressed bytes so far. */
  readonly onProgress?: (bytes: number) => void;
}

export interface ImportedRoot {
  /** The manifest. */
  readonly target: Descriptor;
  readonly config: Descriptor;
  readonly imageConfig: ImageConfig;
}

const layerTypes = { none: mediaTypes.ociLayer, gzip: mediaTypes.ociLayerGzip, zstd: mediaTypes.ociLayerZstd } as const;

/** @throws invalidArgument (damaged), unimplemented (compression), and what the store throws */
export async function importRoot(options: ImportRootOptions): Promise<ImportedRoot> {
  const { content } = options;
  const lease = options.lease === undefined ? {} : { lease: options.lease };
  const compression = options.compression ?? 'gzip';
  const diff = new Digester();
  const plain = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of decompress(options.source)) {
      diff.update(chunk);
      options.onProgress?.(diff.size);
      yield chunk;
    }
  };
  const layer = await writeStream(content, compress(plain(), compression), {
    ref: `import-${randomBytes(8).toString('hex')}`,
    labels: () => ({ [labelKeys.uncompressed]: diff.digest() }),
    ...lease,
  });
  if (diff.size === 0) throw new BoxshipError('invalidArgument', 'import: the archive is empty');
  const created = (options.created ?? new Date()).toISOString();
  const platform = options.platform ?? hostPlatform();
  const imageConfig: ImageConfig = {
    created,
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: [diff.digest()] },
    history: [{ created, comment: options.comment ?? 'Imported from -' }],
  };
  const config = await writeBlob(content, Buffer.from(JSON.stringify(imageConfig)), {
    ref: `import-config-${randomBytes(8).toString('hex')}`,
    mediaType: mediaTypes.ociConfig,
    ...lease,
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: mediaTypes.ociManifest,
    config,
    layers: [{ mediaType: layerTypes[compression], ...layer }],
  };
  const target = await writeBlob(content, Buffer.from(JSON.stringify(manifest)), {
    ref: `import-manifest-${randomBytes(8).toString('hex')}`,
    mediaType: mediaTypes.ociManifest,
    labels: {
      [`${labelKeys.gcRefContent}.config`]: config.digest,
      [`${labelKeys.gcRefContent}.l.0`]: layer.digest,
    },
    ...lease,
  });
  return { target, config, imageConfig };
}

/** Stores a stream of unknown length under the digest that it turns out to have. */
export async function writeStream(
  content: ContentIngester & ContentManager,
  source: AsyncIterable<Uint8Array>,
  options: {
    readonly ref: string;
    readonly lease?: string;
    readonly expected?: Digest;
    readonly labels?: () => Readonly<Record<string, string>>;
  },
): Promise<Pick<Descriptor, 'digest' | 'size'>> {
  await using writer = await content.writer({
    ref: options.ref,
    ...(options.expected === undefined ? {} : { expected: options.expected }),
    ...(options.lease === undefined ? {} : { lease: options.lease }),
  });
  if (writer.status().offset > 0) await writer.truncate(0); // the bytes come whole
  for await (const chunk of source) await writer.write(chunk);
  const digest = writer.digest();
  const size = writer.status().offset;
  const labels = options.labels?.() ?? {};
  try {
    await writer.commit({ size, expected: options.expected ?? digest, labels });
  } catch (error) {
    if (!BoxshipError.is(error, 'alreadyExists')) throw error;
    const fields = Object.keys(labels);
    if (fields.length > 0) await content.update({ digest, labels, fields });
  }
  return { digest, size };
}
