/** `GET /images/json`. */
import { apiAtLeast, type ImageSummary } from '@boxship/engine-api';
import { familiarName, familiarString, parseReference } from '@boxship/oci';
import { committedSize } from '../containers/sizes.ts';
import { type ApiFilters, booleanFilter, matchesLabels } from '../http/filters.ts';
import { parseInstant } from '../http/times.ts';
import type { Parts } from '../parts.ts';
import { untaggedPrefix } from './dangling.ts';
import type { EngineImage, NamedImage } from './image-index.ts';

export const imageFilterKeys = ['before', 'dangling', 'label', 'reference', 'since', 'until'];

export interface ListImagesOptions {
  readonly filters: ApiFilters;
  readonly apiVersion: string;
  readonly hasSharedSize?: boolean;
}

export async function listImages(parts: Parts, options: ListImagesOptions): Promise<ImageSummary[]> {
  const { filters } = options;
  const created = async (key: 'before' | 'since') => {
    const value = filters.get(key)?.[0];
    return value === undefined ? undefined : createdMs((await parts.images.resolve(value)).config.created);
  };
  const [before, since] = [await created('before'), await created('since')];
  const until = parseInstant(filters.get('until')?.[0] ?? '');
  const isDangling = booleanFilter(filters, 'dangling');
  const patterns = filters.get('reference');
  // a reference filter also hides the other names of an image that matches by one
  const named = (await parts.images.list()).map((entry) =>
    patterns === undefined
      ? entry
      : { ...entry, names: entry.names.filter((name) => patterns.some((pattern) => matchesReference(pattern, name))) },
  );
  const selected = named.filter((entry) => {
    const ms = createdMs(entry.image.config.created);
    if (before !== undefined && ms >= before) return false;
    if (since !== undefined && ms <= since) return false;
    if (until !== undefined && BigInt(ms) * 1_000_000n > until) return false;
    if (isDangling !== undefined && isDangling !== (repoTags(entry).length === 0)) return false;
    if (!matchesLabels(filters, entry.image.config.config?.Labels ?? null)) return false;
    return patterns === undefined || entry.names.length > 0;
  });
  const summaries = await Promise.all(selected.map((entry) => summary(parts, entry, options)));
  return summaries.sort((a, b) => b.Created - a.Created);
}

/** `busybox:latest` of each tagged name. */
export const repoTags = (entry: NamedImage): string[] =>
  entry.names.flatMap((name) => {
    const reference = parseReference(name);
    return reference.tag === undefined || reference.digest !== undefined ? [] : [familiarString(reference)];
  });

/** `busybox@sha256:…` of each repository that the image was pulled from. */
export const repoDigests = (entry: NamedImage): string[] => [
  ...new Set(
    entry.names
      .filter((name) => !name.startsWith(untaggedPrefix))
      .map((name) => `${familiarName(parseReference(name))}@${entry.image.target}`),
  ),
];

export const createdMs = (created: string | undefined): number => {
  const ms = created === undefined ? Number.NaN : Date.parse(created);
  return Number.isNaN(ms) ? 0 : ms;
};

/** Uncompressed size of all layers; of the compressed ones while the image is not unpacked. */
export async function imageSize(parts: Parts, image: EngineImage): Promise<number> {
  if (image.chainId === '') return 0;
  try {
    return await committedSize(parts, parts.config.snapshotter, image.chainId);
  } catch {
    return image.manifest.layers.reduce((sum, layer) => sum + layer.size, 0); // not unpacked
  }
}

async function summary(parts: Parts, entry: NamedImage, options: ListImagesOptions): Promise<ImageSummary> {
  const { image } = entry;
  const size = await imageSize(parts, image);
  const tags = repoTags(entry);
  return {
    Containers: -1,
    Created: Math.floor(createdMs(image.config.created) / 1000),
    Id: image.id,
    Labels: image.config.config?.Labels ?? null,
    ParentId: '',
    RepoDigests: repoDigests(entry),
    RepoTags: tags.length === 0 && !apiAtLeast(options.apiVersion, '1.43') ? ['<none>:<none>'] : tags,
    SharedSize: options.hasSharedSize === true ? 0 : -1,
    Size: size,
    ...(apiAtLeast(options.apiVersion, '1.44') ? {} : { VirtualSize: size }),
  };
}

/** A glob on the familiar name, with or without the tag. `*` does not cross a slash. */
export function matchesReference(pattern: string, name: string): boolean {
  const reference = parseReference(name);
  const escaped = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replace(/\*+/g, '[^/]*')
    .replace(/\?/g, '[^/]');
  const expression = new RegExp(`^${escaped}$`);
  return [familiarString(reference), familiarName(reference), name].some((text) => expression.test(text));
}
