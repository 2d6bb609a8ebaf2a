/**
 * `docker save`: images as one tar archive that is both an OCI layout (index.json, blobs/) and what older engines load
 * (manifest.json, repositories). Equal images give equal bytes: sorted names, times at the epoch.
 */
import { encodeEntry, nameOf, newEntry, tarEnd, tarPadding } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  defaultDomain,
  digestAlgorithm,
  digestHex,
  familiarName,
  familiarString,
  isLayerType,
  mediaTypes,
  type Platform,
  parseNormalizedNamed,
  type Reference,
} from '@boxship/oci';
import type { ContentProvider } from '../content/store.ts';
import { noMatch, type PlatformImage, platformImages, presentContent } from './walk.ts';

export interface ImageToExport {
  readonly target: Descriptor;
  /** Full references; none for an image saved by its id. */
  readonly names: readonly string[];
}

export interface ExportOptions {
  readonly content: ContentProvider;
  readonly images: readonly ImageToExport[];
  /** Only this platform of each image; default all that is present. */
  readonly platform?: Platform;
  readonly signal?: AbortSignal;
}

const ociLayout = JSON.stringify({ imageLayoutVersion: '1.0.0' });

/** @throws notFound when an image has nothing for the platform, or its content is incomplete */
export async function* exportImages(options: ExportOptions): AsyncGenerator<Uint8Array, void, undefined> {
  const { content } = options;
  const blobs = new Map<string, Descriptor>();
  const entries: (Descriptor & { annotations?: Record<string, string> })[] = [];
  const legacy: object[] = [];
  const repositories: Record<string, Record<string, string>> = {};
  for (const image of options.images) {
    const first = await firstImage(content, image.target, options.platform);
    const target = options.platform === undefined ? image.target : first.descriptor;
    for await (const descriptor of presentContent(content, target)) blobs.set(descriptor.digest, descriptor);
    for (const layer of first.manifest.layers)
      if (!blobs.has(layer.digest))
        throw new BoxshipError('notFound', `content digest ${layer.digest}: not found`, {
          details: { digest: layer.digest },
        });
    const references = image.names.map(parseNormalizedNamed).filter((reference) => reference.tag !== undefined);
    if (references.length === 0) entries.push(target);
    for (const reference of references) {
      entries.push({
        ...target,
        annotations: {
          ...target.annotations,
          'io.containerd.image.name': fullName(reference),
          'org.opencontainers.image.ref.name': reference.tag ?? '',
        },
      });
      const top = first.manifest.layers.at(-1);
      if (top === undefined) continue;
      const name = familiarName(reference);
      repositories[name] = { ...repositories[name], [reference.tag ?? '']: digestHex(top.digest) };
    }
    const { layers } = first.manifest;
    if (layers.every((layer) => isLayerType(layer.mediaType)))
      legacy.push({
        Config: blobPath(first.manifest.config),
        RepoTags: references.length === 0 ? null : references.map(familiarString),
        Layers: layers.map(blobPath),
      });
  }
  yield directory('blobs/');
  for (const algorithm of [...new Set([...blobs.values()].map(({ digest }) => digestAlgorithm(digest)))].sort())
    yield directory(`blobs/${algorithm}/`);
  const sorted = [...blobs.values()].sort((a, b) => (blobPath(a) < blobPath(b) ? -1 : 1));
  for (const descriptor of sorted) {
    options.signal?.throwIfAborted();
    const { size } = await content.info(descriptor.digest);
    yield encodeEntry(newEntry({ name: blobPath(descriptor), type: 'file', mode: 0o444, size }));
    for await (const chunk of content.read(descriptor)) yield chunk;
    yield tarPadding(size);
  }
  yield* file('index.json', JSON.stringify({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: entries }));
  if (legacy.length > 0) yield* file('manifest.json', JSON.stringify(legacy));
  yield* file('oci-layout', ociLayout);
  if (Object.keys(repositories).length > 0) yield* file('repositories', JSON.stringify(repositories));
  yield tarEnd;
}

async function firstImage(
  content: ContentProvider,
  target: Descriptor,
  platform: Platform | undefined,
): Promise<PlatformImage> {
  for await (const image of platformImages(content, target, platform)) return image;
  throw noMatch(target, platform);
}

const fullName = (reference: Reference): string =>
  `${reference.domain || defaultDomain}/${reference.path}:${reference.tag}`;
const blobPath = ({ digest }: Pick<Descriptor, 'digest'>): string =>
  `blobs/${digestAlgorithm(digest)}/${digestHex(digest)}`;
const directory = (name: string): Buffer => encodeEntry(newEntry({ name, type: 'directory', mode: 0o755 }));

function* file(name: string, text: string): Generator<Buffer, void, undefined> {
  const bytes = Buffer.from(text);
  yield encodeEntry(newEntry({ name: nameOf(name), type: 'file', mode: 0o444, size: bytes.length }));
  yield bytes;
  yield tarPadding(bytes.length);
}
