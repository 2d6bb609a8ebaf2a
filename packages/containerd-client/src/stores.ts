/**
 * Everything that pull, unpack and commit need of a remote containerd, behind the image store's contracts: the same code
 * runs in containerd over its own stores and elsewhere over these.
 */

import type { ContainerdServices } from '@boxship/api';
import { nowTimestamp, type images as wire } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import {
  type Applier,
  type Comparer,
  type ContentStore,
  type Image,
  type ImageStore,
  imageFields,
  type LeaseManager,
  labelKeys,
  type NewImage,
  type Snapshotter,
} from '@boxship/image-store';
import { remoteContentStore } from './content.ts';
import { fromWireDescriptor, fromWireTime, isMatch, toWireDescriptor, toWireMount } from './convert.ts';
import { remoteSnapshotter } from './snapshots.ts';

export interface RemoteStores {
  readonly content: ContentStore;
  readonly snapshotter: Snapshotter;
  readonly images: ImageStore;
  readonly leases: LeaseManager;
  readonly applier: Applier;
  readonly comparer: Comparer;
}

/** @param snapshotter name of the snapshotter to work on: `overlayfs` */
export function remoteStores(services: ContainerdServices, snapshotter: string): RemoteStores {
  return {
    content: remoteContentStore(services),
    snapshotter: remoteSnapshotter(services, snapshotter),
    images: remoteImages(services),
    leases: remoteLeases(services),
    applier: remoteApplier(services),
    comparer: remoteComparer(services),
  };
}

export function remoteImages({ images }: Pick<ContainerdServices, 'images'>): ImageStore {
  return {
    async get(name) {
      return fromWireImage((await images.get({ name })).image);
    },
    async list(filter) {
      const all = (await images.list({ filters: [] })).images.map(fromWireImage);
      return all.filter((image) => isMatch(filter, imageFields, image));
    },
    async create(image) {
      return fromWireImage((await images.create({ image: toWireImage(image) })).image);
    },
    async update(image, fields) {
      return fromWireImage(
        (await images.update({ image: toWireImage(image), updateMask: fields === undefined ? undefined : [...fields] }))
          .image,
      );
    },
    async delete(name) {
      await images.delete({ name });
    },
  };
}

export function remoteLeases({ leases }: Pick<ContainerdServices, 'leases'>): LeaseManager {
  return {
    async create(options = {}) {
      const labels: { [key: string]: string } = { ...options.labels };
      if (options.expiresAt !== undefined) labels[labelKeys.gcExpire] = options.expiresAt.toISOString();
      const { lease } = await leases.create({ id: options.id ?? `boxship-${crypto.randomUUID()}`, labels });
      if (lease === undefined) throw new BoxshipError('internal', 'containerd answered without a lease');
      return { id: lease.id, labels: lease.labels, createdAt: fromWireTime(lease.createdAt) };
    },
    async delete(id, options) {
      await leases.delete({ id, sync: options?.isSynchronous ?? false });
    },
  };
}

export function remoteApplier({ diff }: Pick<ContainerdServices, 'diff'>): Applier {
  return {
    async apply(descriptor, mounts, options) {
      const request = { diff: toWireDescriptor(descriptor), mounts: mounts.map(toWireMount) };
      const call = { timeoutMs: 0, ...(options?.signal === undefined ? {} : { signal: options.signal }) };
      return fromWireDescriptor((await diff.apply(request, call)).applied);
    },
  };
}

export function remoteComparer({ diff }: Pick<ContainerdServices, 'diff'>): Comparer {
  return {
    async compare(lower, upper, options = {}) {
      const { mediaType = '', ref = '', labels, lease, signal } = options;
      const request = {
        left: lower.map(toWireMount),
        right: upper.map(toWireMount),
        mediaType,
        ref,
        labels: { ...labels },
      };
      const call = {
        timeoutMs: 0,
        ...(lease === undefined ? {} : { lease }),
        ...(signal === undefined ? {} : { signal }),
      };
      return fromWireDescriptor((await diff.diff(request, call)).diff);
    },
  };
}

function toWireImage(image: NewImage): wire.Image {
  const now = nowTimestamp();
  return {
    name: image.name,
    labels: { ...image.labels },
    target: toWireDescriptor(image.target),
    createdAt: now,
    updatedAt: now,
  };
}

function fromWireImage(image: wire.Image | undefined): Image {
  if (image === undefined) throw new BoxshipError('internal', 'containerd answered without an image');
  const { name, labels, target, createdAt, updatedAt } = image;
  return {
    name,
    labels,
    target: fromWireDescriptor(target),
    createdAt: fromWireTime(createdAt),
    updatedAt: fromWireTime(updatedAt),
  };
}
