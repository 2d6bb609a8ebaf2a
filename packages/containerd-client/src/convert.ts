/** From messages of the API to the image store's types, for every proxy. */
import {
  fromTimestamp,
  type Timestamp,
  type Descriptor as WireDescriptor,
  type Mount as WireMount,
} from '@boxship/api';
import { BoxshipError, type FilterPredicate } from '@boxship/base';
import type { Mount } from '@boxship/image-store';
import { type Descriptor, parseDigest } from '@boxship/oci';

export function fromWireTime(time: Timestamp | undefined): Date {
  return time === undefined ? new Date(0) : new Date(Number(fromTimestamp(time) / 1_000_000n));
}

export function fromWireMount(mount: WireMount): Mount {
  const { type, source, options, target } = mount;
  return target === '' ? { type, source, options } : { type, source, options, target };
}

export function toWireMount(mount: Mount): WireMount {
  return { type: mount.type, source: mount.source, target: mount.target ?? '', options: [...mount.options] };
}

export function toWireDescriptor(descriptor: Descriptor): WireDescriptor {
  const { mediaType, digest, size, annotations } = descriptor;
  return { mediaType, digest, size: BigInt(size), annotations: { ...annotations } };
}

export function fromWireDescriptor(descriptor: WireDescriptor | undefined): Descriptor {
  if (descriptor === undefined) throw new BoxshipError('internal', 'containerd answered without a descriptor');
  const { mediaType, size, annotations } = descriptor;
  return { mediaType, digest: parseDigest(descriptor.digest), size: Number(size), annotations };
}

/** The mask for an update of labels: all of them, or single keys. */
export function labelMask(fields: readonly string[] | undefined): string[] {
  return fields === undefined ? ['labels'] : fields.map((field) => `labels.${field}`);
}

/** Filters cannot be turned back into text: a remote list is asked for everything and filtered here. */
export function isMatch<T>(
  filter: FilterPredicate | undefined,
  lookup: (item: T) => Parameters<FilterPredicate>[0],
  item: T,
): boolean {
  return filter === undefined || filter(lookup(item));
}
