/** `POST /images/{name}/push`. */
import { BoxshipError } from '@boxship/base';
import { remoteContentStore } from '@boxship/containerd-client';
import { push } from '@boxship/image-store';
import {
  familiarName,
  familiarString,
  formatReference,
  parseNormalizedNamed,
  parsePlatform,
  repositoryName,
  tagNameOnly,
  withTag,
} from '@boxship/oci';
import type { Exchange } from '../http/exchange.ts';
import type { Parts } from '../parts.ts';
import { ProgressLines } from './progress-lines.ts';
import { streamProgress } from './progress-stream.ts';
import { decodeRegistryAuth, lookupFor, openRegistry } from './registry-access.ts';
import { targetDescriptor } from './target.ts';

export async function pushImage(parts: Parts, exchange: Exchange, name: string): Promise<void> {
  const tag = exchange.text('tag');
  const parsed = parseNormalizedNamed(name);
  const reference = tagNameOnly(tag === '' ? parsed : withTag(parsed, tag));
  const auth = decodeRegistryAuth(exchange.request.headers['x-registry-auth']);
  const platform = exchange.text('platform');
  await streamProgress(exchange, async (stream) => {
    stream.send({ status: `The push refers to repository [${repositoryName(reference)}]` });
    let target: Awaited<ReturnType<typeof targetDescriptor>>;
    try {
      target = await targetDescriptor(parts, formatReference(reference));
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound')) throw error;
      throw new BoxshipError('notFound', `An image does not exist locally with the tag: ${familiarName(reference)}`);
    }
    await using registry = openRegistry(parts.config, parts.log, lookupFor(reference.domain, auth));
    const lines = new ProgressLines();
    const pushed = await push({
      reference,
      target,
      registry,
      content: remoteContentStore(parts.containerd),
      ...(platform === '' ? {} : { platform: platformOf(platform) }),
      signal: exchange.signal,
      onProgress: (event) => stream.send(lines.push(event)),
    });
    const shown = reference.tag ?? '';
    stream.send({ status: `${shown}: digest: ${pushed.digest} size: ${pushed.size}` });
    stream.send({ progressDetail: {}, aux: { Tag: shown, Digest: pushed.digest, Size: pushed.size } });
    parts.events.publish('image', 'push', familiarString(reference), { name: familiarName(reference) });
  });
}

/** The parameter is JSON; what old clients typed themselves is text. */
function platformOf(text: string) {
  if (!text.startsWith('{')) return parsePlatform(text);
  const {
    os = '',
    architecture = '',
    variant,
  } = JSON.parse(text) as { os?: string; architecture?: string; variant?: string };
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
}
