/**
 * Docker's view of containerd's image records: an image is its configuration (the id is the configuration's digest), names
 * are records that lead to it. Documents are immutable, so what was read once is kept.
 */
import { BoxshipError, type Logger } from '@boxship/base';
import type { ContainerdClient } from '@boxship/containerd-client';
import {
  chainIds,
  familiarString,
  formatReference,
  hostPlatform,
  type ImageConfig,
  type ImageManifest,
  isAttestation,
  type Platform,
  parseImageConfig,
  parseManifest,
  parseNormalizedNamed,
  parseReference,
  selectPlatform,
  tagNameOnly,
} from '@boxship/oci';

export interface EngineImage {
  /** `sha256:…` of the configuration. */
  readonly id: string;
  readonly config: ImageConfig;
  /** The manifest for this host. */
  readonly manifest: ImageManifest;
  /** The record's target: an index or the manifest itself. */
  readonly target: string;
  /** Snapshot that a container starts from; empty for an image without layers. */
  readonly chainId: string;
}

export interface NamedImage {
  readonly image: EngineImage;
  /** Full references of the records that lead to it. */
  readonly names: readonly string[];
  /** When the youngest name was given, RFC 3339. */
  readonly taggedAt: Date | undefined;
}

export interface ImageIndex {
  /** All images with their names. */
  list(): Promise<readonly NamedImage[]>;
  /** By id, reference, id prefix. @throws notFound `No such image: X:latest` */
  resolve(reference: string): Promise<EngineImage>;
  /** As resolve, with every name of the image. */
  find(reference: string): Promise<NamedImage>;
  /** The image behind one record's target. @throws notFound when content is missing */
  load(target: string): Promise<EngineImage>;
}

const keptDocuments = 512;
const maxIndexDepth = 4;

export function createImageIndex(containerd: Pick<ContainerdClient, 'content' | 'images'>, log: Logger): ImageIndex {
  const platform = hostPlatform();
  const loaded = new Map<string, Promise<EngineImage>>();

  async function blob(digest: string): Promise<Buffer> {
    const chunks: Buffer[] = [];
    for await (const { data } of containerd.content.read({ digest, offset: 0n, size: 0n }))
      chunks.push(Buffer.from(data));
    return Buffer.concat(chunks);
  }

  function load(target: string): Promise<EngineImage> {
    let image = loaded.get(target);
    if (image === undefined) {
      image = readImage(target, platform, blob);
      loaded.set(target, image);
      image.catch(() => loaded.delete(target)); // the caller gets the error; the next call tries again
      if (loaded.size > keptDocuments) loaded.delete(loaded.keys().next().value ?? '');
    }
    return image;
  }

  async function list(): Promise<readonly NamedImage[]> {
    const { images } = await containerd.images.list();
    const found = new Map<string, { image: EngineImage; names: string[]; taggedAt: Date | undefined }>();
    await Promise.all(
      images.map(async (record) => {
        const target = record.target?.digest;
        if (target === undefined) return;
        try {
          const image = await load(target);
          const entry = found.get(image.id) ?? { image, names: [], taggedAt: undefined };
          entry.names.push(record.name);
          const time = record.updatedAt === undefined ? undefined : new Date(Number(record.updatedAt.seconds) * 1000);
          if (time !== undefined && (entry.taggedAt === undefined || time > entry.taggedAt)) entry.taggedAt = time;
          found.set(image.id, entry);
        } catch (error) {
          // an image of another platform, or half deleted: Docker shows what it can run
          log.debug('image record is not usable here', { name: record.name, error });
        }
      }),
    );
    return [...found.values()].map((entry) => ({ ...entry, names: entry.names.sort() }));
  }

  async function find(reference: string): Promise<NamedImage> {
    const hex = /^(?:sha256:)?([0-9a-f]{64})$/.exec(reference)?.[1];
    const all = await list();
    if (hex !== undefined) {
      const exact = all.find((entry) => entry.image.id === `sha256:${hex}`);
      if (exact !== undefined) return exact;
      throw notFound(reference);
    }
    const name = tryParse(reference);
    const byName = name === undefined ? undefined : all.find((entry) => entry.names.includes(name));
    if (byName !== undefined) return byName;
    if (name?.includes('@')) {
      const [repository, digest] = name.split('@');
      const byDigest = all.find(
        (entry) => entry.image.target === digest && entry.names.some((known) => repositoryOf(known) === repository),
      );
      if (byDigest !== undefined) return byDigest;
    }
    const prefix = /^(?:sha256:)?([0-9a-f]{1,64})$/.exec(reference)?.[1];
    const matches = prefix === undefined ? [] : all.filter((entry) => entry.image.id.startsWith(`sha256:${prefix}`));
    if (matches.length === 1 && matches[0] !== undefined) return matches[0];
    throw notFound(reference);
  }

  return {
    list,
    load,
    find,
    async resolve(reference) {
      const name = tryParse(reference);
      if (name !== undefined && !name.includes('@')) {
        // one lookup for the usual case; everything else needs the list
        const record = await containerd.images.get({ name }).catch((error: unknown) => {
          if (BoxshipError.is(error, 'notFound')) return undefined;
          throw error;
        });
        const target = record?.image?.target?.digest;
        if (target !== undefined) return await load(target);
      }
      return (await find(reference)).image;
    },
  };
}

/** The record name for a reference as typed; undefined if it is none (an id). @throws invalidArgument for bad syntax */
function tryParse(reference: string): string | undefined {
  if (/^[0-9a-f]{64}$/.test(reference) || /^sha256:[0-9a-f]+$/.test(reference)) return undefined;
  return formatReference(tagNameOnly(parseNormalizedNamed(reference)));
}

/** `docker.io/library/busybox` of a full reference. */
export function repositoryOf(name: string): string {
  const reference = parseReference(name);
  return `${reference.domain}/${reference.path}`;
}

function notFound(reference: string): BoxshipError {
  let shown = reference;
  try {
    if (!/^(?:sha256:)?[0-9a-f]{64}$/.test(reference))
      shown = familiarString(tagNameOnly(parseNormalizedNamed(reference)));
  } catch {
    // no reference: shown as typed
  }
  return new BoxshipError('notFound', `No such image: ${shown}`);
}

async function readImage(
  target: string,
  platform: Platform,
  blob: (digest: string) => Promise<Buffer>,
): Promise<EngineImage> {
  let document = parseManifest(await blob(target));
  for (let depth = 0; document.kind === 'index'; depth++) {
    if (depth > maxIndexDepth) throw new BoxshipError('invalidArgument', `image index ${target} is nested too deeply`);
    const candidates = document.manifests.filter((descriptor) => !isAttestation(descriptor));
    const [chosen] = selectPlatform(platform, candidates, (descriptor) => descriptor.platform ?? platform);
    if (chosen === undefined)
      throw new BoxshipError('notFound', `image ${target} has no manifest for ${platform.os}/${platform.architecture}`);
    document = parseManifest(await blob(chosen.digest));
  }
  const manifest = document;
  const config = parseImageConfig(await blob(manifest.config.digest));
  const chains = chainIds(config.rootfs.diff_ids);
  return { id: manifest.config.digest, config, manifest, target, chainId: chains.at(-1) ?? '' };
}
