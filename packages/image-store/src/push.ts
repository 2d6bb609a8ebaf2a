/**
 * `push`: everything below a target that the registry lacks, blobs first, then manifests from the leaves up, the tag last, so
 * that nobody ever sees a name whose content is missing.
 */
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  type Digest,
  isDigest,
  isForeignLayerType,
  isIndexType,
  isManifestType,
  maxManifestBytes,
  type Platform,
  parseNormalizedNamed,
  type Reference,
  tagNameOnly,
} from '@boxship/oci';
import { readBlob } from './content/blobs.ts';
import type { ContentManager, ContentProvider } from './content/store.ts';
import { sourceLabel } from './images/gc-labels.ts';
import { platformImage, readManifest } from './images/walk.ts';
import { labelKeys } from './labels.ts';
import type { PushEvent } from './progress.ts';
import { pushBlob } from './registry/push-blob.ts';
import { pushManifest } from './registry/push-manifest.ts';
import type { Registry } from './registry/registry.ts';
import type { RegistrySession } from './registry/session.ts';

export interface PushOptions {
  /** Where to: a repository and tag. */
  readonly reference: string | Reference;
  /** What: an index or a manifest in the content store. */
  readonly target: Descriptor;
  readonly registry: Registry;
  readonly content: ContentProvider & ContentManager;
  /** Push the manifest of this platform alone, not the index around it. */
  readonly platform?: Platform;
  /** Uploads at a time; default 5. */
  readonly concurrency?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (event: PushEvent) => void;
}

const defaultConcurrency = 5;

/**
 * @returns the descriptor that the tag now points to
 * @throws failedPrecondition when content of the target is not here; what registries refuse
 */
export async function push(options: PushOptions): Promise<Descriptor> {
  const { content, registry } = options;
  const reference = tagNameOnly(
    typeof options.reference === 'string' ? parseNormalizedNamed(options.reference) : options.reference,
  );
  const target =
    options.platform === undefined
      ? options.target
      : (await platformImage(content, options.target, options.platform)).descriptor;
  const { manifests, blobs } = await collect(content, target);
  const [session] = await registry.sessions(reference.domain, 'push');
  if (session === undefined) throw new BoxshipError('notFound', `no host of ${reference.domain} takes pushes`);
  for (const { descriptor } of blobs)
    options.onProgress?.({ kind: 'layer', digest: descriptor.digest, state: 'preparing' });
  const queue = [...blobs];
  const controller = new AbortController();
  const signal =
    options.signal === undefined ? controller.signal : AbortSignal.any([options.signal, controller.signal]);
  const worker = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
      signal.throwIfAborted();
      await pushOne(options, session, reference, one, signal);
    }
  };
  let failure: unknown;
  const workers = Array.from({ length: options.concurrency ?? defaultConcurrency }, () =>
    worker().catch((error: unknown) => {
      failure ??= error;
      controller.abort();
    }),
  );
  await Promise.all(workers);
  if (failure !== undefined) throw failure;
  for (const { descriptor, bytes } of manifests) {
    const isTarget = descriptor.digest === target.digest;
    const tag = isTarget && reference.digest === undefined ? reference.tag : undefined;
    await pushManifest(session, reference, descriptor, bytes, { signal, ...(tag === undefined ? {} : { tag }) });
  }
  options.onProgress?.({ kind: 'done', target, ...(reference.tag === undefined ? {} : { tag: reference.tag }) });
  return target;
}

interface ManifestToPush {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

interface BlobToPush {
  readonly descriptor: Descriptor;
  readonly diffId: Digest | undefined;
  readonly candidates: readonly string[];
}

/** Manifests leaves first, blobs once each. */
async function collect(
  content: ContentProvider,
  target: Descriptor,
): Promise<{ manifests: ManifestToPush[]; blobs: BlobToPush[] }> {
  const manifests: ManifestToPush[] = [];
  const blobs = new Map<string, BlobToPush>();
  const visit = async (descriptor: Descriptor): Promise<void> => {
    try {
      if (isIndexType(descriptor.mediaType) || isManifestType(descriptor.mediaType)) {
        const document = await readManifest(content, descriptor);
        const children = document.kind === 'index' ? document.manifests : [document.config, ...document.layers];
        for (const child of children) if (!isForeignLayerType(child.mediaType)) await visit(child);
        if (!manifests.some((entry) => entry.descriptor.digest === descriptor.digest))
          manifests.push({ descriptor, bytes: await readBlob(content, descriptor, maxManifestBytes) });
      } else if (!blobs.has(descriptor.digest)) {
        const { labels } = await content.info(descriptor.digest);
        const diffId = labels[labelKeys.uncompressed];
        const sources = Object.entries(labels).filter(([key]) => key.startsWith(`${labelKeys.distributionSource}.`));
        blobs.set(descriptor.digest, {
          descriptor,
          diffId: isDigest(diffId) ? diffId : undefined,
          candidates: sources.flatMap(([key, value]) =>
            value.split(',').map((path) => `${key.slice(labelKeys.distributionSource.length + 1)}/${path}`),
          ),
        });
      }
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound')) throw error;
      throw new BoxshipError(
        'failedPrecondition',
        `content ${descriptor.digest} of the image is not present: pull all platforms, or push a single platform`,
        { cause: error, details: { digest: descriptor.digest } },
      );
    }
  };
  await visit(target);
  return { manifests, blobs: [...blobs.values()] };
}

async function pushOne(
  options: PushOptions,
  session: RegistrySession,
  reference: Reference,
  { descriptor, diffId, candidates }: BlobToPush,
  signal: AbortSignal,
): Promise<void> {
  const tell = (event: Partial<PushEvent & { kind: 'layer' }> & Pick<PushEvent & { kind: 'layer' }, 'state'>): void =>
    options.onProgress?.({
      kind: 'layer',
      digest: descriptor.digest,
      ...(diffId === undefined ? {} : { diffId }),
      ...event,
    });
  const own = `${reference.domain}/`;
  const outcome = await pushBlob(session, reference, options.content, descriptor, {
    signal,
    candidates: candidates.filter((name) => name.startsWith(own)).map((name) => name.slice(own.length)),
    onProgress: (current) => tell({ state: 'pushing', current, total: descriptor.size }),
    onRetry: (seconds) => options.onProgress?.({ kind: 'retrying', digest: descriptor.digest, seconds }),
  });
  if (outcome.kind === 'mounted') tell({ state: 'mounted', from: outcome.from });
  else tell({ state: outcome.kind });
  const { labels } = await options.content.info(descriptor.digest);
  const added = sourceLabel(labels, reference.domain, reference.path);
  if (Object.keys(added).length > 0)
    await options.content.update({ digest: descriptor.digest, labels: added, fields: Object.keys(added) });
}
