/**
 * The layers of one manifest: downloaded some at a time, unpacked bottom first as soon as their turn has come, also while their
 * bytes still come, so that network, decompression and disk work at the same time.
 */
import type { Descriptor, ImageConfig, ImageManifest, Reference } from '@boxship/oci';
import { isIntact } from './content/blobs.ts';
import { fetchContent } from './fetch-content.ts';
import { LayerFeed } from './layer-feed.ts';
import type { LayerState } from './progress.ts';
import type { PullOptions } from './pull-options.ts';
import { fetchBlob } from './registry/fetch-blob.ts';
import { type UnpackOptions, unpack } from './unpack.ts';

export interface FetchLayersOptions {
  readonly pull: PullOptions;
  readonly reference: Reference;
  readonly manifest: ImageManifest;
  /** Fetches the config, at the same time as the first layers, and tells it as soon as it is known: it is not stored yet then. */
  readonly fetchConfig: (onParsed: (config: ImageConfig) => void) => Promise<ImageConfig | undefined>;
  readonly isUnpacked: boolean;
  readonly labels: (known: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  readonly lease: string | undefined;
  readonly isDeferred: boolean;
}

interface Fetching {
  readonly feed: LayerFeed;
  /** True when the bytes were fetched, false when they were there. */
  readonly done: Promise<boolean>;
  isDone: boolean;
  /** What is to be told when it is done. */
  whenDone: () => void;
}

const defaultConcurrency = 3;
/** Progress is told so often at most: nobody reads faster, and each time crosses two sockets. */
const progressMs = 100;

export async function fetchLayers(options: FetchLayersOptions): Promise<ImageConfig | undefined> {
  const { pull, manifest } = options;
  const controller = new AbortController();
  const signal = pull.signal === undefined ? controller.signal : AbortSignal.any([pull.signal, controller.signal]);
  const tell = (layer: Descriptor, state: LayerState, current?: number): void =>
    pull.onProgress?.({
      kind: 'layer',
      digest: layer.digest,
      state,
      ...(current === undefined ? {} : { current, total: layer.size }),
    });
  for (const layer of manifest.layers) tell(layer, 'pulling');
  const slots = semaphore(pull.concurrency ?? defaultConcurrency);
  const byDigest = new Map<string, Fetching>(); // a layer may occur twice
  const fetching = (layer: Descriptor): Fetching => {
    const started = byDigest.get(layer.digest);
    if (started !== undefined) return started;
    const feed = new LayerFeed(pull.content, layer);
    const one: Fetching = { feed, isDone: false, whenDone: () => {}, done: fetchOne(layer, feed) };
    byDigest.set(layer.digest, one);
    one.done.then(
      () => {
        one.isDone = true;
        one.whenDone();
      },
      () => {}, // the failure is for who waits
    );
    return one;
  };
  const download = (layer: Descriptor): Promise<boolean> => fetching(layer).done;
  const fetchOne = async (layer: Descriptor, feed: LayerFeed): Promise<boolean> => {
    using _slot = await slots(() => tell(layer, 'waiting'));
    signal.throwIfAborted();
    const isDue = every(progressMs);
    const wasFetched = await fetchContent({
      content: pull.content,
      descriptor: layer,
      what: 'layer',
      source: (offset) =>
        fetchBlob(pull.registry, options.reference, layer, {
          offset,
          isTransient: true, // writers have no claim to what they were given
          signal,
          onRetry: (seconds) => pull.onProgress?.({ kind: 'retrying', digest: layer.digest, seconds }),
        }),
      labels: options.labels,
      lease: options.lease,
      isDeferred: options.isDeferred,
      signal,
      feed,
      onProgress: (bytes) => {
        if (bytes === layer.size || isDue()) tell(layer, bytes === layer.size ? 'verifying' : 'downloading', bytes);
      },
    });
    tell(layer, 'downloaded');
    return wasFetched;
  };
  const { layers } = manifest;
  /** Layers that were in the store already, and are not what they were: they are to be fetched. False when all are good. */
  const forgetChanged = async (): Promise<boolean> => {
    let isChanged = false;
    for (const layer of new Set(layers)) {
      if ((await byDigest.get(layer.digest)?.done) !== false || (await isIntact(pull.content, layer))) continue;
      pull.log?.error('a layer has changed on the disk and is fetched again', { digest: layer.digest });
      await pull.content.delete(layer.digest);
      byDigest.delete(layer.digest);
      isChanged = true;
    }
    return isChanged;
  };
  let failure: unknown; // the first one: what its cancellation makes of the others is of no interest
  const watch = (promise: Promise<unknown>): void =>
    void promise.catch((error: unknown) => {
      failure ??= error;
      controller.abort();
    });
  const parsed = Promise.withResolvers<ImageConfig | undefined>();
  const config = options.fetchConfig(parsed.resolve);
  config.then(parsed.resolve, parsed.reject);
  const downloads = layers.map(download);
  let unpacking: Promise<unknown> = Promise.resolve();
  try {
    for (const promise of [config, ...downloads]) watch(promise);
    const imageConfig = await parsed.promise;
    const { unpack: place } = pull;
    if (options.isUnpacked && imageConfig !== undefined && place !== undefined) {
      const isDue = every(progressMs);
      const work: UnpackOptions = {
        content: pull.content,
        ...place,
        config: manifest.config,
        imageConfig,
        layers: manifest.layers,
        ready: async (index) => void (await download(manifest.layers[index] as Descriptor)),
        configReady: config,
        feed: (index) => fetching(manifest.layers[index] as Descriptor).feed,
        lease: options.lease,
        isDeferred: options.isDeferred,
        signal,
        ...(pull.log === undefined ? {} : { log: pull.log }),
        onLayer: (index, state, bytes) => {
          const layer = manifest.layers[index] as Descriptor;
          const one = fetching(layer);
          if (state === 'extracting' && bytes !== 0 && !isDue()) return;
          // Clients show one state of a layer: what is unpacked during the download is told after it.
          if (state === 'extracting' && !one.isDone) one.whenDone = () => tell(layer, state, bytes);
          else if (state !== 'exists') tell(layer, state, state === 'extracting' ? bytes : undefined);
          // Docker says so instead of anything about the download.
          else
            void download(layer).then(
              () => tell(layer, 'exists'),
              () => {},
            );
        },
      };
      unpacking = unpack(work).catch(async (error: unknown) => {
        signal.throwIfAborted();
        if (!(await forgetChanged())) throw error;
        await unpack(work);
      });
      watch(unpacking);
      await Promise.all([config, ...downloads, unpacking]);
    } else {
      await Promise.all([config, ...downloads]);
      for (const layer of layers) tell(layer, 'complete');
    }
    return imageConfig;
  } catch (error) {
    controller.abort();
    await Promise.allSettled([config, ...downloads, unpacking]); // nothing of this pull works on when it has failed
    throw pull.signal?.aborted ? pull.signal.reason : (failure ?? error);
  }
}

/** True at first, and when so much time has passed since it was true. */
function every(ms: number): () => boolean {
  let last = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now < last + ms) return false;
    last = now;
    return true;
  };
}

/** At most `count` leases at a time, in the order asked for. */
function semaphore(count: number): (onWait: () => void) => Promise<Disposable> {
  let free = count;
  const queue: (() => void)[] = [];
  return async (onWait) => {
    if (free === 0) {
      onWait();
      const { promise, resolve } = Promise.withResolvers<void>();
      queue.push(resolve);
      await promise;
    } else free--;
    return {
      [Symbol.dispose]: () => {
        const next = queue.shift();
        if (next === undefined) free++;
        else next();
      },
    };
  };
}
