/** From the image store's types to messages of the API, for every service that answers with them. */
import { type Timestamp, toTimestamp, type Descriptor as WireDescriptor, type Mount as WireMount } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type { Mount } from '@boxship/image-store';
import { type Descriptor, parseDigest } from '@boxship/oci';

export function toWireTime(date: Date): Timestamp {
  return toTimestamp(BigInt(date.getTime()) * 1_000_000n);
}

export function toWireMount(mount: Mount): WireMount {
  return { type: mount.type, source: mount.source, target: mount.target ?? '', options: [...mount.options] };
}

export function fromWireMount(mount: WireMount): Mount {
  const { type, source, options, target } = mount;
  return target === '' ? { type, source, options } : { type, source, options, target };
}

export function toWireDescriptor(descriptor: Descriptor): WireDescriptor {
  return {
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: BigInt(descriptor.size),
    annotations: { ...descriptor.annotations },
  };
}

/** @throws invalidArgument when it is missing or its digest is malformed */
export function fromWireDescriptor(descriptor: WireDescriptor | undefined): Descriptor {
  if (descriptor === undefined) throw new BoxshipError('invalidArgument', 'descriptor must be set');
  return {
    mediaType: descriptor.mediaType,
    digest: parseDigest(descriptor.digest),
    size: Number(descriptor.size),
    annotations: descriptor.annotations,
  };
}

/** The keys named by a field mask that may only speak of labels; undefined: replace all of them. @throws invalidArgument */
export function labelFields(mask: readonly string[] | undefined, what: string): { fields?: string[] } {
  if (mask === undefined || mask.length === 0) return {};
  const fields: string[] = [];
  for (const path of mask) {
    if (path === 'labels') return {};
    if (!path.startsWith('labels.'))
      throw new BoxshipError('invalidArgument', `cannot update ${JSON.stringify(path)} field on ${what}`);
    fields.push(path.slice('labels.'.length));
  }
  return { fields };
}

/** Cuts a stream into blocks of 100, as the List methods send them. */
export async function* inBlocks<T>(items: AsyncIterable<T>, size = 100): AsyncIterable<T[]> {
  let block: T[] = [];
  for await (const item of items) {
    block.push(item);
    if (block.length === size) {
      yield block;
      block = [];
    }
  }
  if (block.length > 0) yield block;
}
