/** An image's configuration, told as soon as its bytes are here: layers can be unpacked while the disk is waited for. */
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  digestOf,
  type ImageConfig,
  isConfigType,
  maxImageConfigBytes,
  parseImageConfig,
  type Reference,
} from '@boxship/oci';
import { readBlob } from './content/blobs.ts';
import { fetchContent } from './fetch-content.ts';
import { forgetChanged } from './forget-changed.ts';
import type { PullOptions } from './pull-options.ts';
import { fetchBlob } from './registry/fetch-blob.ts';

export interface FetchConfigOptions {
  readonly pull: PullOptions;
  readonly reference: Reference;
  readonly descriptor: Descriptor;
  readonly labels: (known: Readonly<Record<string, string>>) => Readonly<Record<string, string>>;
  readonly lease: string | undefined;
  readonly isDeferred: boolean;
  readonly onRetry: (seconds: number) => void;
  /** May refuse it by throwing. Called before the configuration is stored, or not at all. */
  readonly onParsed: (config: ImageConfig) => void;
}

/** @returns the configuration when it is stored; undefined for what is none */
export async function fetchConfig(options: FetchConfigOptions): Promise<ImageConfig | undefined> {
  const { content } = options.pull;
  try {
    return await fetchAndRead(options);
  } catch (error) {
    if (!BoxshipError.is(error, 'dataLoss')) throw error;
    await forgetChanged(content, options.descriptor, error);
    return await fetchAndRead(options);
  }
}

async function fetchAndRead(options: FetchConfigOptions): Promise<ImageConfig | undefined> {
  const { pull, reference, descriptor, labels, lease, isDeferred, onRetry } = options;
  const { content, registry, signal } = pull;
  if (descriptor.size > maxImageConfigBytes)
    throw new BoxshipError(
      'resourceExhausted',
      `image config of ${descriptor.size} bytes is larger than ${maxImageConfigBytes} bytes`,
    );
  await fetchContent({
    content,
    descriptor,
    what: 'config',
    source: (offset) => {
      const bytes = fetchBlob(registry, reference, descriptor, { offset, signal, onRetry });
      return offset === 0 && isConfigType(descriptor.mediaType) ? parsedOnTheWay(bytes, options) : bytes;
    },
    labels,
    lease,
    isDeferred,
    signal,
  });
  return isConfigType(descriptor.mediaType)
    ? parseImageConfig(await readBlob(content, descriptor, maxImageConfigBytes))
    : undefined;
}

async function* parsedOnTheWay(
  source: AsyncIterable<Uint8Array>,
  { descriptor, onParsed }: FetchConfigOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const pieces: Buffer[] = [];
  for await (const piece of source) {
    pieces.push(Buffer.from(piece));
    yield piece;
  }
  const bytes = Buffer.concat(pieces);
  if (digestOf(bytes) === descriptor.digest) onParsed(parseImageConfig(bytes)); // else whoever stores it says so
}
