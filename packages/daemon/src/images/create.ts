/** `POST /images/create`: pull from a registry, or import a root file system. */
import { BoxshipError } from '@boxship/base';
import { remoteStores, transferPull } from '@boxship/containerd-client';
import type { RegistryAuth } from '@boxship/engine-api';
import { importRoot, listTags, type PullEvent, pull, unpackTarget } from '@boxship/image-store';
import {
  familiarName,
  familiarString,
  formatReference,
  isDigest,
  type Platform,
  parseNormalizedNamed,
  parsePlatform,
  type Reference,
  tagNameOnly,
  withDigest,
  withTag,
} from '@boxship/oci';
import type { Exchange } from '../http/exchange.ts';
import type { Parts } from '../parts.ts';
import { applyChanges } from './change.ts';
import { keepDangling, untaggedName } from './dangling.ts';
import { ProgressLines } from './progress-lines.ts';
import { type ProgressStream, streamProgress } from './progress-stream.ts';
import { decodeRegistryAuth, lookupFor, openRegistry, registryFailure } from './registry-access.ts';
import { writeName } from './tag.ts';

export async function createImage(parts: Parts, exchange: Exchange): Promise<void> {
  const from = exchange.text('fromImage');
  if (from !== '') return await pullImages(parts, exchange, from);
  const source = exchange.text('fromSrc');
  if (source !== '-')
    throw new BoxshipError(
      'invalidArgument',
      `import from ${source} is not supported: send the archive as the body (fromSrc=-)`,
    );
  await importImage(parts, exchange);
}

async function pullImages(parts: Parts, exchange: Exchange, from: string): Promise<void> {
  const tag = exchange.text('tag');
  const parsed = parseNormalizedNamed(from.replace(/:$/, ''));
  const reference =
    tag === '' ? parsed : tag.includes(':') && isDigest(tag) ? withDigest(parsed, tag) : withTag(parsed, tag);
  const auth = decodeRegistryAuth(exchange.request.headers['x-registry-auth']);
  const platformText = exchange.text('platform');
  const platform = platformText === '' ? undefined : parsePlatform(platformText);
  await streamProgress(exchange, async (stream) => {
    // no tag and no digest means all tags
    const isAll = reference.tag === undefined && reference.digest === undefined;
    for (const one of isAll ? await allTags(parts, reference, auth) : [reference])
      await pullOne(parts, exchange, one, { auth, platform, stream });
  });
}

async function allTags(parts: Parts, reference: Reference, auth: RegistryAuth | undefined): Promise<Reference[]> {
  await using registry = openRegistry(parts.config, parts.log, lookupFor(reference.domain, auth));
  const found: Reference[] = [];
  for (const tag of await listTags(registry, reference)) found.push(withTag(reference, tag));
  return found;
}

interface PullContext {
  readonly auth: RegistryAuth | undefined;
  readonly platform: Platform | undefined;
  readonly stream: ProgressStream;
}

async function pullOne(parts: Parts, exchange: Exchange, reference: Reference, context: PullContext): Promise<void> {
  const { stream } = context;
  const familiar = familiarString(reference);
  const name = formatReference(reference);
  const lines = new ProgressLines();
  let target = '';
  const before = await targetOf(parts, name);
  let keeping: Promise<void> = Promise.resolve();
  const onProgress = (event: PullEvent) => {
    if (event.kind === 'resolved') {
      target = event.target.digest;
      if (before !== undefined) keeping = keepDangling(parts, name, target);
      keeping.catch(() => {}); // awaited below
      stream.send({ status: `Pulling from ${reference.path}`, id: reference.tag ?? reference.digest ?? '' });
    }
    stream.send(lines.pull(event));
  };
  try {
    await pullThrough(parts, exchange, reference, name, context, onProgress);
  } catch (error) {
    throw registryFailure(error, familiar);
  }
  await keeping;
  const after = (await targetOf(parts, name)) ?? target;
  stream.send({ status: `Digest: ${after}` });
  const isNewer = before !== after;
  stream.send({ status: `Status: ${isNewer ? 'Downloaded newer image for' : 'Image is up to date for'} ${familiar}` });
  parts.events.publish('image', 'pull', familiar, { name: familiarName(reference) });
}

async function targetOf(parts: Parts, name: string): Promise<string | undefined> {
  try {
    return (await parts.containerd.images.get({ name })).image?.target?.digest;
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return undefined;
    throw error;
  }
}

/** containerd downloads where it can, so that a killed daemon stops no download; older ones are fed from here. */
async function pullThrough(
  parts: Parts,
  exchange: Exchange,
  reference: Reference,
  name: string,
  { auth, platform }: PullContext,
  onProgress: (event: PullEvent) => void,
): Promise<void> {
  const { snapshotter } = parts.config;
  const credentials = lookupFor(reference.domain, auth);
  const { signal } = exchange;
  const common = { name, signal, onProgress, ...(platform === undefined ? {} : { platform }) };
  try {
    return await transferPull(parts.containerd, { ...common, reference: name, snapshotter, credentials });
  } catch (error) {
    if (!BoxshipError.is(error, 'unimplemented')) throw error;
    parts.log.debug('containerd has no Transfer service, the daemon pulls', { reference: name });
  }
  await using registry = openRegistry(parts.config, parts.log, credentials);
  const { content, images, leases, snapshotter: store, applier } = remoteStores(parts.containerd, snapshotter);
  const unpack = { snapshotter: store, snapshotterName: snapshotter, applier };
  await pull({ ...common, reference, registry, content, images, leases, unpack, log: parts.log });
}

async function importImage(parts: Parts, exchange: Exchange): Promise<void> {
  const repo = exchange.text('repo');
  const tag = exchange.text('tag');
  const parsed = repo === '' ? undefined : parseNormalizedNamed(repo);
  const reference = parsed === undefined ? undefined : tagNameOnly(tag === '' ? parsed : withTag(parsed, tag));
  const stores = remoteStores(parts.containerd, parts.config.snapshotter);
  const comment = exchange.text('message');
  const config = applyChanges({}, exchange.query.getAll('changes'));
  await streamProgress(exchange, async (stream) => {
    const lease = await stores.leases.create({ expiresAt: new Date(Date.now() + 3_600_000) });
    try {
      const imported = await importRoot({
        content: stores.content,
        source: exchange.request.raw,
        lease: lease.id,
        config,
        ...(comment === '' ? {} : { comment }),
      });
      const { target } = imported;
      const { snapshotter, applier, content } = stores;
      await unpackTarget({
        content,
        snapshotter,
        snapshotterName: parts.config.snapshotter,
        applier,
        target,
        lease: lease.id,
      });
      await writeName(
        parts,
        reference === undefined ? untaggedName(imported.config.digest) : formatReference(reference),
        target,
      );
      const { digest } = imported.config;
      stream.send({ status: digest });
      parts.events.publish('image', 'import', digest, { name: digest });
    } finally {
      await stores.leases.delete(lease.id);
    }
  });
}
