/**
 * `pull`: resolve, fetch, record, unpack, over the contracts of this package. The same function runs inside containerd on
 * its own stores and inside a daemon on remote ones.
 *
 * Example
 *   const pulled = await pull({ reference: 'busybox', registry, content, images, unpack: { snapshotter, snapshotterName: 'overlayfs', applier } });
 */
import { BoxshipError, silentLogger } from '@boxship/base';
import {
  type Descriptor,
  formatPlatform,
  formatReference,
  hostPlatform,
  type ImageConfig,
  isAttestation,
  isConfigType,
  isIndexType,
  isManifestType,
  maxManifestBytes,
  type Platform,
  parseManifest,
  parseNormalizedNamed,
  platformOfConfig,
  platformRank,
  tagNameOnly,
} from '@boxship/oci';
import { readBlob } from './content/blobs.ts';
import { fetchConfig } from './fetch-config.ts';
import { fetchContent } from './fetch-content.ts';
import { forgetChanged } from './forget-changed.ts';
import { referenceLabels, sourceLabel } from './images/gc-labels.ts';
import type { Image } from './images/store.ts';
import { orderManifests } from './images/walk.ts';
import { noLeases } from './leases.ts';
import { fetchLayers } from './pull-layers.ts';
import type { PulledImage, PullOptions } from './pull-options.ts';
import { type FetchedManifest, fetchManifest, resolve, resolveManifest } from './registry/resolve.ts';

const leaseMs = 24 * 3_600_000;

/** @throws notFound, unauthenticated, permissionDenied, unavailable, dataLoss, unimplemented, and what the stores throw */
export async function pull(options: PullOptions): Promise<PulledImage> {
  const leases = options.leases ?? noLeases;
  if (options.lease !== undefined || leases === noLeases) return await pullUnder(options, options.lease);
  const lease = await leases.create({ expiresAt: new Date(Date.now() + leaseMs) });
  try {
    return await pullUnder(options, lease.id);
  } finally {
    await leases.delete(lease.id);
  }
}

async function pullUnder(options: PullOptions, lease: string | undefined): Promise<PulledImage> {
  const { registry, content, signal } = options;
  const reference = tagNameOnly(
    typeof options.reference === 'string' ? parseNormalizedNamed(options.reference) : options.reference,
  );
  const name = options.name ?? formatReference(reference);
  const isDeferred = options.images !== undefined; // the record of the image comes last, and is not
  const tell = options.onProgress ?? (() => {});
  const platform = options.platform ?? hostPlatform();
  const onRetry = (seconds: number): void => tell({ kind: 'retrying', seconds });
  const source = (known: Readonly<Record<string, string>>) => sourceLabel(known, reference.domain, reference.path);
  tell({ kind: 'resolving', reference: name });
  const asked = { signal, onRetry };
  let first: FetchedManifest | undefined;
  if ((await knownImage(options, name)) === undefined) first = await resolveManifest(registry, reference, asked);
  const target = first?.descriptor ?? (await resolve(registry, reference, asked)); // often there is nothing new
  tell({ kind: 'resolved', reference: name, target });

  const storing: Promise<unknown>[] = []; // documents: nobody waits for the disk as long as there is something else to do
  /** The parsed document of a manifest descriptor, from the store or the registry. */
  const document = async (descriptor: Descriptor) => {
    let bytes: Buffer;
    try {
      bytes = await readBlob(content, descriptor, maxManifestBytes);
    } catch (error) {
      await forgetChanged(content, descriptor, error);
      const here = first?.descriptor.digest === descriptor.digest ? first : undefined;
      ({ bytes } = here ?? (await fetchManifest(registry, reference, descriptor.digest, asked)));
    }
    const parsed = parseManifest(bytes, descriptor.mediaType, name);
    const stored = fetchContent({
      content,
      descriptor: { ...descriptor, size: bytes.length },
      what: parsed.kind,
      source: async function* (offset) {
        yield bytes.subarray(offset);
      },
      labels: (known) => ({ ...referenceLabels(parsed), ...source(known) }),
      lease,
      isDeferred,
      signal,
    });
    stored.catch(() => {}); // thrown below
    storing.push(stored);
    return parsed;
  };

  const chosen: Descriptor[] = [];
  const collect = async (descriptor: Descriptor): Promise<void> => {
    if (isManifestType(descriptor.mediaType)) {
      chosen.push(descriptor);
      return;
    }
    const index = await document(descriptor);
    if (index.kind === 'manifest') {
      chosen.push({ ...descriptor, mediaType: index.mediaType });
      return;
    }
    const fitting = orderManifests(index.manifests, platform);
    const wanted = options.isAllPlatforms
      ? [...fitting, ...index.manifests.filter((entry) => !fitting.includes(entry))]
      : fitting.slice(0, 1);
    if (fitting.length === 0)
      throw new BoxshipError(
        'notFound',
        `no matching manifest for ${formatPlatform(platform)} in the manifest list entries`,
      );
    for (const entry of wanted) {
      if (isIndexType(entry.mediaType)) await collect(entry);
      else chosen.push(entry);
    }
  };
  let result: { manifest: Descriptor; config: ImageConfig } | undefined;
  try {
    await collect(target);
    for (const [index, descriptor] of chosen.entries()) {
      const manifest = await document(descriptor);
      if (manifest.kind !== 'manifest')
        throw new BoxshipError('invalidArgument', `index ${descriptor.digest} is listed as a manifest`);
      const isWanted = index === 0;
      if (isWanted && !isConfigType(manifest.config.mediaType))
        throw new BoxshipError('unimplemented', `unsupported media type ${manifest.config.mediaType}`);
      const check = <T extends ImageConfig | undefined>(parsed: T): T => {
        if (isWanted && parsed !== undefined && descriptor.platform === undefined)
          checkPlatform(parsed, options.platform);
        return parsed;
      };
      const config = await fetchLayers({
        pull: options,
        reference,
        manifest,
        fetchConfig: async (onParsed) =>
          check(
            await fetchConfig({
              pull: options,
              reference,
              descriptor: manifest.config,
              labels: source,
              lease,
              isDeferred,
              onRetry,
              onParsed: (parsed) => onParsed(check(parsed)),
            }),
          ),
        isUnpacked: isWanted && !isAttestation(descriptor),
        labels: source,
        lease,
        isDeferred,
      });
      if (isWanted && config !== undefined) result = { manifest: descriptor, config };
    }
    await Promise.all(storing);
  } finally {
    await Promise.allSettled(storing); // nothing of this pull works on when it has failed
  }
  if (result === undefined) throw new BoxshipError('internal', `pull of ${name} chose no manifest`);
  const { image, isNewer } = await record(options, name, target);
  tell({ kind: 'done', target, isNewer });
  return { name, target, ...result, image, isNewer };
}

/** A single manifest says its platform only in its config. */
function checkPlatform(config: ImageConfig, wanted: Platform | undefined): void {
  const offered = platformOfConfig(config);
  if (offered.os !== '' && offered.os !== hostPlatform().os && wanted === undefined)
    throw new BoxshipError(
      'invalidArgument',
      `image operating system ${JSON.stringify(offered.os)} cannot be used on this platform`,
    );
  if (wanted !== undefined && offered.os !== '' && platformRank(wanted, offered) === undefined)
    throw new BoxshipError(
      'notFound',
      `image was found but its platform (${formatPlatform(offered)}) does not match the specified platform (${formatPlatform(wanted)})`,
    );
}

async function knownImage({ images }: PullOptions, name: string): Promise<Image | undefined> {
  try {
    return await images?.get(name);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
}

async function record(
  options: PullOptions,
  name: string,
  target: Descriptor,
): Promise<{ image: Image | undefined; isNewer: boolean }> {
  const { images } = options;
  if (images === undefined) return { image: undefined, isNewer: true };
  const labels = options.labels ?? {};
  const known = await knownImage(options, name);
  try {
    const fields = ['target', ...Object.keys(labels).map((key) => `labels.${key}`)];
    const image =
      known === undefined
        ? await images.create({ name, target, labels })
        : await images.update({ name, target, labels }, fields);
    return { image, isNewer: known?.target.digest !== target.digest };
  } catch (error) {
    if (!BoxshipError.is(error, 'alreadyExists') && !BoxshipError.is(error, 'notFound')) throw error;
    (options.log ?? silentLogger).debug('image record changed while it was pulled', { name });
    return await record(options, name, target); // created or deleted by somebody else in between
  }
}
