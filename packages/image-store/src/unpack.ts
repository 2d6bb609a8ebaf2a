/**
 * Turns an image's layers into committed snapshots named by chain ids, over the contracts alone: the same function runs
 * beside the stores and, through proxies, across a wire. Somebody else may unpack the same image meanwhile; whoever comes
 * second uses what is there.
 */
import { randomBytes } from 'node:crypto';
import { BoxshipError, type Logger, messageOf, silentLogger } from '@boxship/base';
import { chainIds, type Descriptor, type Digest, type ImageConfig, isLayerType } from '@boxship/oci';
import type { ContentManager, ContentProvider } from './content/store.ts';
import type { Applier, ApplyOptions } from './diff.ts';
import { labelKeys } from './labels.ts';
import type { LayerFeed } from './layer-feed.ts';
import type { Snapshotter } from './snapshots/snapshotter.ts';

export interface UnpackOptions {
  readonly content: ContentProvider & ContentManager;
  readonly snapshotter: Snapshotter;
  /** Its name in labels: `overlayfs`, `native` … */
  readonly snapshotterName: string;
  readonly applier: Applier;
  readonly config: Descriptor;
  readonly imageConfig: ImageConfig;
  /** The manifest's layers, bottom first. */
  readonly layers: readonly Descriptor[];
  /** Settles when the layer's bytes are in the store; default: they are. */
  readonly ready?: (index: number) => Promise<void>;
  /** Settles when the configuration is in the store; default: it is. */
  readonly configReady?: Promise<unknown>;
  /** The bytes of a layer that is on its way. With an applier that takes bytes it is unpacked meanwhile. */
  readonly feed?: (index: number) => LayerFeed | undefined;
  readonly lease?: string | undefined;
  /** Labels of blobs are deferred: something that is not comes behind them. Default false. */
  readonly isDeferred?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly log?: Logger;
  readonly onLayer?: (index: number, state: 'exists' | 'extracting' | 'complete', bytes?: number) => void;
}

/**
 * @returns the chain id of the whole image; undefined for an image without layers
 * @throws invalidArgument when layers and configuration disagree, dataLoss for a wrong diff id, and what the parts throw
 */
export async function unpack(options: UnpackOptions): Promise<Digest | undefined> {
  const { snapshotter, layers } = options;
  const diffIds = options.imageConfig.rootfs.diff_ids;
  if (diffIds.length !== layers.length)
    throw new BoxshipError('invalidArgument', "layers from manifest don't match image configuration", {
      details: { layers: layers.length, diffIds: diffIds.length },
    });
  const foreign = layers.find((layer) => !isLayerType(layer.mediaType));
  if (foreign !== undefined) throw new BoxshipError('unimplemented', `unsupported media type ${foreign.mediaType}`);
  const chain = chainIds(diffIds);
  let done = chain.length; // layers that are there
  while (done > 0 && !(await exists(snapshotter, chain[done - 1] as Digest))) done--;
  for (let index = 0; index < done; index++) options.onLayer?.(index, 'exists');
  for (let index = done; index < layers.length; index++) {
    const layer = {
      index,
      layer: layers[index] as Descriptor,
      diffId: diffIds[index] as Digest,
      name: chain[index] as Digest,
      parent: chain[index - 1] ?? '',
    };
    const feed = options.applier.applyFrom === undefined ? undefined : options.feed?.(index);
    if (feed === undefined || !(await unpackWhileFetched(options, layer, feed))) {
      await options.ready?.(index);
      options.signal?.throwIfAborted();
      await unpackLayer(options, layer);
    }
  }
  const top = chain.at(-1);
  if (top !== undefined) {
    await options.configReady;
    const key = `${labelKeys.gcRefSnapshot}.${options.snapshotterName}`;
    const { isDeferred } = options;
    await options.content.update({ digest: options.config.digest, labels: { [key]: top }, fields: [key], isDeferred });
  }
  return top;
}

interface LayerToUnpack {
  readonly index: number;
  readonly layer: Descriptor;
  readonly diffId: Digest;
  readonly name: Digest;
  readonly parent: string;
}

/** False when the bytes turned out to be wrong: what comes in their place is unpacked when it is there. */
async function unpackWhileFetched(options: UnpackOptions, one: LayerToUnpack, feed: LayerFeed): Promise<boolean> {
  try {
    await unpackLayer(options, one, feed);
    return true;
  } catch (error) {
    options.signal?.throwIfAborted();
    await options.ready?.(one.index); // bytes that are not those of the layer explain every other failure
    if (!feed.wasDropped) throw error;
    return false;
  }
}

async function unpackLayer(options: UnpackOptions, one: LayerToUnpack, feed?: LayerFeed): Promise<void> {
  const { snapshotter } = options;
  const lease = options.lease === undefined ? {} : { lease: options.lease };
  const key = `extract-${process.hrtime.bigint()}-${randomBytes(3).toString('base64url')} ${one.name}`;
  let mounts: Awaited<ReturnType<Snapshotter['prepare']>>;
  try {
    mounts = await snapshotter.prepare(key, one.parent, { labels: { [labelKeys.snapshotRef]: one.name }, ...lease });
  } catch (error) {
    // A snapshotter that gets layers by other ways answers so for a name it can provide at once.
    if (!BoxshipError.is(error, 'alreadyExists') || !(await exists(snapshotter, one.name))) throw error;
    options.onLayer?.(one.index, 'complete');
    return;
  }
  try {
    await feed?.begun(options.signal);
    options.onLayer?.(one.index, 'extracting', 0);
    const applyOptions: ApplyOptions = {
      ...(options.signal === undefined ? {} : { signal: options.signal }),
      onProgress: (bytes) => options.onLayer?.(one.index, 'extracting', bytes),
    };
    const applied =
      feed === undefined || options.applier.applyFrom === undefined
        ? await options.applier.apply(one.layer, mounts, applyOptions)
        : await options.applier.applyFrom(async () => feed.reader(options.signal), one.layer, mounts, applyOptions);
    // A snapshot is kept only of a blob that is in the store, and therefore is what it is called.
    if (feed !== undefined) await options.ready?.(one.index);
    if (applied.digest !== one.diffId)
      throw new BoxshipError('dataLoss', `wrong diff id calculated on extraction "${applied.digest}"`, {
        details: { expected: one.diffId, layer: one.layer.digest },
      });
    try {
      await snapshotter.commit(one.name, key, lease);
    } catch (error) {
      if (!BoxshipError.is(error, 'alreadyExists')) throw error;
      await discard(options, key); // unpacked twice at once: the other one's snapshot is as good
    }
  } catch (error) {
    await discard(options, key);
    throw error;
  }
  await options.content.update({
    digest: one.layer.digest,
    labels: { [labelKeys.uncompressed]: one.diffId },
    fields: [labelKeys.uncompressed],
    isDeferred: options.isDeferred,
  });
  options.onLayer?.(one.index, 'complete');
}

async function discard(options: UnpackOptions, key: string): Promise<void> {
  try {
    await options.snapshotter.remove(key);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return;
    (options.log ?? silentLogger).warn('unfinished snapshot is left to garbage collection', {
      key,
      error: messageOf(error),
    });
  }
}

async function exists(snapshotter: Snapshotter, name: string): Promise<boolean> {
  try {
    await snapshotter.stat(name);
    return true;
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return false;
    throw error;
  }
}
