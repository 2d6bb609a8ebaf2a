/**
 * The layers of one manifest: downloaded some at a time, unpacked bottom first as soon as their turn and their bytes have
 * come, so that network, decompression and disk work at the same time.
 */
import type { Descriptor, ImageConfig, ImageManifest, Reference } from '@boxship/oci';
import { fetchContent } from './fetch-content.ts';
import type { LayerState } from './progress.ts';
import type { PullOptions } from './pull-options.ts';
import { fetchBlob } from './registry/fetch-blob.ts';
import { unpack } from './unpack.ts';

export interface FetchLayersOptions {
  readonly pull: PullOptions;
  readonly reference: Reference;
  readonly manifest: ImageManifest;
  /** Fetches the config, at the same time as the first layers. */
  readonly fetchConfig: () => Promise<ImageConfig | undefined>;
  readonly isUnpacked: boolean;
  readonly labels: (known: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  readonly lease: string | undefined;
}

const defaultConcurrency = 3;
/** Download progress is told at most so often. */
const progressBytes = 512 * 1024;

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
  const byDigest = new Map<string, Promise<boolean>>(); // a layer may occur twice
  const download = (layer: Descriptor): Promise<boolean> => {
    const started = byDigest.get(layer.digest);
    if (started !== undefined) return started;
    const fetching = fetchOne(layer);
    byDigest.set(layer.digest, fetching);
    return fetching;
  };
  const fetchOne = async (layer: Descriptor): Promise<boolean> => {
    using _slot = await slots(() => tell(layer, 'waiting'));
    signal.throwIfAborted();
    let told = 0;
    const wasFetched = await fetchContent({
      content: pull.content,
      descriptor: layer,
      what: 'layer',
      source: (offset) =>
        fetchBlob(pull.registry, options.reference, layer, {
          offset,
          signal,
          onRetry: (seconds) => pull.onProgress?.({ kind: 'retrying', digest: layer.digest, seconds }),
        }),
      labels: options.labels,
      lease: options.lease,
      signal,
      onProgress: (bytes) => {
        if (bytes < told + progressBytes && bytes !== layer.size) return;
        told = bytes;
        tell(layer, bytes === layer.size ? 'verifying' : 'downloading', bytes);
      },
    });
    tell(layer, 'downloaded');
    return wasFetched;
  };
  const { layers } = manifest;
  let failure: unknown; // the first one: what its cancellation makes of the others is of no interest
  const watch = (promise: Promise<unknown>): void =>
    void promise.catch((error: unknown) => {
      failure ??= error;
      controller.abort();
    });
  const config = options.fetchConfig();
  const downloads = layers.map(download);
  try {
    for (const promise of [config, ...downloads]) watch(promise);
    const imageConfig = await config;
    const { unpack: place } = pull;
    if (options.isUnpacked && imageConfig !== undefined && place !== undefined) {
      const unpacked = unpack({
        content: pull.content,
        ...place,
        config: manifest.config,
        imageConfig,
        layers: manifest.layers,
        ready: async (index) => void (await download(manifest.layers[index] as Descriptor)),
        lease: options.lease,
        signal,
        ...(pull.log === undefined ? {} : { log: pull.log }),
        onLayer: (index, state, bytes) => {
          const layer = manifest.layers[index] as Descriptor;
          if (state !== 'exists') tell(layer, state, state === 'extracting' ? bytes : undefined);
          // Docker says so instead of anything about the download.
          else
            void download(layer).then(
              () => tell(layer, 'exists'),
              () => {},
            );
        },
      });
      watch(unpacked);
      await Promise.all([...downloads, unpacked]);
    } else {
      await Promise.all(downloads);
      for (const layer of layers) tell(layer, 'complete');
    }
    return imageConfig;
  } catch (error) {
    controller.abort();
    await Promise.allSettled([config, ...downloads]); // nothing of this pull works on when it has failed
    throw pull.signal?.aborted ? pull.signal.reason : (failure ?? error);
  }
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
