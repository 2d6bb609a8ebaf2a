/** `GET /distribution/{name}/json`: what a registry has under a name, without pulling it. */
import { fetchBlob, fetchManifest, resolve } from '@boxship/image-store';
import {
  type Descriptor,
  type Platform,
  parseImageConfig,
  parseManifest,
  parseNormalizedNamed,
  platformOfConfig,
  tagNameOnly,
} from '@boxship/oci';
import type { Exchange } from '../http/exchange.ts';
import type { Parts } from '../parts.ts';
import { decodeRegistryAuth, lookupFor, openRegistry, registryFailure } from './registry-access.ts';

export interface DistributionInspect {
  readonly Descriptor: Descriptor;
  readonly Platforms: readonly Platform[];
}

export async function inspectDistribution(
  parts: Parts,
  exchange: Exchange,
  name: string,
): Promise<DistributionInspect> {
  const reference = tagNameOnly(parseNormalizedNamed(name));
  const auth = decodeRegistryAuth(exchange.request.headers['x-registry-auth']);
  await using registry = openRegistry(parts.config, parts.log, lookupFor(reference.domain, auth));
  const { signal } = exchange;
  try {
    const descriptor = await resolve(registry, reference, { signal });
    const { bytes } = await fetchManifest(registry, reference, descriptor.digest, { signal });
    const document = parseManifest(bytes, descriptor.mediaType, name);
    if (document.kind === 'index')
      return {
        Descriptor: descriptor,
        Platforms: document.manifests.flatMap(({ platform }) => (platform === undefined ? [] : [platform])),
      };
    const chunks: Uint8Array[] = [];
    for await (const chunk of fetchBlob(registry, reference, document.config, { signal })) chunks.push(chunk);
    return { Descriptor: descriptor, Platforms: [platformOfConfig(parseImageConfig(Buffer.concat(chunks)))] };
  } catch (error) {
    throw registryFailure(error, name);
  }
}
