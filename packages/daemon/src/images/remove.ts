/** `DELETE /images/{name}` and the prune of images. */
import { BoxshipError, shortId } from '@boxship/base';
import type { ImageDeleteItem, ImagesPruneResponse } from '@boxship/engine-api';
import { familiarString, parseReference } from '@boxship/oci';
import { type ApiFilters, booleanFilter, matchesLabels } from '../http/filters.ts';
import { parseInstant } from '../http/times.ts';
import type { Parts } from '../parts.ts';
import { untaggedPrefix } from './dangling.ts';
import type { NamedImage } from './image-index.ts';
import { createdMs, imageSize, repoTags } from './list.ts';

/** @throws notFound, conflict */
export async function removeImage(parts: Parts, reference: string, isForced: boolean): Promise<ImageDeleteItem[]> {
  const entry = await parts.images.find(reference);
  const { image } = entry;
  const isById = /^(?:sha256:)?[0-9a-f]+$/.test(reference) && !entry.names.some((name) => isNameOf(name, reference));
  const tags = repoTags(entry);
  const users = parts.containers.list().filter((container) => container.record.imageId === image.id);
  const hex = shortId(image.id.slice('sha256:'.length));
  if (isById) {
    if (tags.length > 1 && !isForced)
      throw new BoxshipError(
        'conflict',
        `conflict: unable to delete ${hex} (must be forced) - image is referenced in multiple repositories`,
      );
    checkUsers(users, hex, isForced);
    return await removeNames(parts, entry, entry.names);
  }
  const asked = entry.names.filter((name) => isNameOf(name, reference));
  const others = entry.names.filter((name) => !asked.includes(name) && !name.startsWith(untaggedPrefix));
  // the record that keeps it without a name goes with the last name
  const names = others.length === 0 ? entry.names : asked;
  const isLast = names.length === entry.names.length;
  const [user] = users;
  if (isLast && user !== undefined && !isForced)
    throw new BoxshipError(
      'conflict',
      `conflict: unable to remove repository reference "${reference}" (must force) - container ${shortId(user.id)} is using its referenced image ${hex}`,
    );
  if (isLast && users.some((container) => container.record.state.Running)) checkUsers(users, hex, true);
  return await removeNames(parts, entry, names);
}

function checkUsers(
  users: readonly { id: string; record: { state: { Running: boolean } } }[],
  hex: string,
  isForced: boolean,
): void {
  const running = users.find((container) => container.record.state.Running);
  if (running !== undefined)
    throw new BoxshipError(
      'conflict',
      `conflict: unable to delete ${hex} (cannot be forced) - image is being used by running container ${shortId(running.id)}`,
    );
  const [stopped] = users;
  if (stopped !== undefined && !isForced)
    throw new BoxshipError(
      'conflict',
      `conflict: unable to delete ${hex} (must be forced) - image is being used by stopped container ${shortId(stopped.id)}`,
    );
}

function isNameOf(name: string, reference: string): boolean {
  const parsed = parseReference(name);
  const familiar = familiarString(parsed);
  return (
    [name, familiar].some((text) => text === reference || text === `${reference}:latest`) ||
    `${name.split(':')[0]}` === reference
  );
}

async function removeNames(parts: Parts, entry: NamedImage, names: readonly string[]): Promise<ImageDeleteItem[]> {
  const { id } = entry.image;
  const items: ImageDeleteItem[] = [];
  const isGone = names.length === entry.names.length;
  for (const [index, name] of names.entries()) {
    // the last deletion waits for the collector: the space is free when the client is answered
    await parts.containerd.images.delete({ name, sync: isGone && index === names.length - 1 });
    if (name.startsWith(untaggedPrefix)) continue;
    items.push({ Untagged: familiarString(parseReference(name)) });
    parts.events.publish('image', 'untag', id, { name: id });
  }
  if (isGone) {
    items.push({ Deleted: id });
    parts.events.publish('image', 'delete', id, { name: id });
  }
  return items;
}

let isPruning = false;

/** Dangling images, or with `dangling=false` all that no container uses. @throws conflict while another prune runs */
export async function pruneImages(parts: Parts, filters: ApiFilters): Promise<ImagesPruneResponse> {
  if (isPruning) throw new BoxshipError('conflict', 'a prune operation is already running');
  isPruning = true;
  try {
    const onlyDangling = booleanFilter(filters, 'dangling') ?? true;
    const until = parseInstant(filters.get('until')?.[0] ?? '');
    const used = new Set(parts.containers.list().map((container) => container.record.imageId));
    const deleted: ImageDeleteItem[] = [];
    let reclaimed = 0;
    for (const entry of await parts.images.list()) {
      const { image } = entry;
      if (used.has(image.id) || (onlyDangling && repoTags(entry).length > 0)) continue;
      if (until !== undefined && BigInt(createdMs(image.config.created)) * 1_000_000n > until) continue;
      if (!matchesLabels(filters, image.config.config?.Labels ?? null)) continue;
      reclaimed += await imageSize(parts, image);
      deleted.push(...(await removeNames(parts, entry, entry.names)));
    }
    parts.events.publish('image', 'prune', '', { reclaimed: String(reclaimed) });
    return { ImagesDeleted: deleted.length === 0 ? null : deleted, SpaceReclaimed: reclaimed };
  } finally {
    isPruning = false;
  }
}
