/**
 * Brings one descriptor's bytes into a content store: skipped when they are there, continued where an earlier attempt
 * stopped, waited for when somebody else is at it.
 */
import { BoxshipError, poll } from '@boxship/base';
import type { Descriptor } from '@boxship/oci';
import type { ContentStore } from './content/store.ts';
import { gather } from './gather.ts';
import { updatedLabels } from './labels.ts';
import type { LayerFeed } from './layer-feed.ts';

export interface FetchContentOptions {
  readonly content: ContentStore;
  readonly descriptor: Descriptor;
  /** `layer`, `config`, `manifest`, `index`: begins the ref, as containerd's does, so that both resume each other's work. */
  readonly what: string;
  /** The bytes from an offset on. */
  readonly source: (offset: number) => AsyncIterable<Uint8Array>;
  /** Labels to set; given what the blob has already. */
  readonly labels: (known: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  readonly lease?: string | undefined;
  /** Something that is not deferred comes behind it. Default false. */
  readonly isDeferred?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (bytes: number) => void;
  /** Is told what can be read already. */
  readonly feed?: LayerFeed;
}

const foreignWriterMs = 600_000;

/** @returns true when the bytes were fetched, false when they were there @throws dataLoss when they do not match */
export async function fetchContent(options: FetchContentOptions): Promise<boolean> {
  const wasFetched = await fetchUnlessThere(options);
  options.feed?.stored();
  return wasFetched;
}

async function fetchUnlessThere(options: FetchContentOptions): Promise<boolean> {
  const { content, descriptor } = options;
  const ref = `${options.what}-${descriptor.digest}`;
  try {
    return await write(options, ref);
  } catch (error) {
    if (BoxshipError.is(error, 'alreadyExists')) {
      await relabel(options);
      return false;
    }
    if (!BoxshipError.is(error, 'unavailable') || error.details['isNetwork'] === true) throw error;
  }
  // Locked: another pull writes the same blob. Its end, good or bad, frees the ref.
  const outcome = await poll(
    { everyMs: 50, timeoutMs: foreignWriterMs, ...(options.signal === undefined ? {} : { signal: options.signal }) },
    async () => {
      options.signal?.throwIfAborted();
      try {
        return { wasFetched: await write(options, ref) };
      } catch (error) {
        if (BoxshipError.is(error, 'alreadyExists')) return { wasFetched: false };
        if (BoxshipError.is(error, 'unavailable') && error.details['isNetwork'] !== true) return undefined;
        throw error;
      }
    },
  );
  if (outcome === undefined)
    throw new BoxshipError(
      'deadlineExceeded',
      `image-store: ref ${ref} was locked for more than ${foreignWriterMs} ms`,
    );
  if (!outcome.wasFetched) await relabel(options);
  await content.info(descriptor.digest);
  return outcome.wasFetched;
}

async function write(options: FetchContentOptions, ref: string): Promise<boolean> {
  const { content, descriptor } = options;
  const lease = options.lease === undefined ? {} : { lease: options.lease };
  await using writer = await content.writer({ ref, total: descriptor.size, expected: descriptor.digest, ...lease });
  const { offset } = writer.status();
  if (offset > descriptor.size) await writer.truncate(0);
  options.feed?.attach(writer);
  options.onProgress?.(writer.status().offset);
  if (writer.status().offset < descriptor.size || descriptor.size === 0) {
    for await (const chunk of gather(options.source(writer.status().offset))) {
      await writer.write(chunk);
      options.feed?.grow(writer.status().offset);
      options.onProgress?.(writer.status().offset);
      options.signal?.throwIfAborted(); // what had come is kept for the next attempt
    }
  }
  try {
    await writer.commit({
      size: descriptor.size,
      expected: descriptor.digest,
      labels: options.labels({}),
      isDeferred: options.isDeferred,
    });
    return true;
  } catch (error) {
    if (!BoxshipError.is(error, 'failedPrecondition')) throw error;
    // What is there would be resumed for ever: drop it. Were it an earlier attempt's bytes that were wrong, ours may be right.
    options.feed?.drop();
    await writer[Symbol.asyncDispose]();
    await content.abort(ref);
    if (offset > 0) return await write(options, ref);
    throw new BoxshipError('dataLoss', `filesystem layer verification failed for digest ${descriptor.digest}`, {
      cause: error,
    });
  }
}

async function relabel({ content, descriptor, labels, isDeferred }: FetchContentOptions): Promise<void> {
  const known = await content.info(descriptor.digest);
  const wanted = labels(known.labels);
  const fields = Object.keys(wanted).filter((key) => known.labels[key] !== wanted[key]);
  if (fields.length > 0)
    await content.update({
      digest: descriptor.digest,
      labels: updatedLabels({}, wanted, fields),
      fields,
      isDeferred,
    });
}
