/** Image records and leases of a namespace behind the image store's contracts, for work done inside the server. */

import type { images, leases } from '@boxship/api';
import { fromTimestamp, type leases as leaseWire, type ServiceClient, type images as wire } from '@boxship/api';
import type { Image, ImageStore, LeaseManager, NewImage } from '@boxship/image-store';
import { imageFields, labelKeys } from '@boxship/image-store';
import { parseDigest } from '@boxship/oci';
import { toWireDescriptor } from '../services/convert.ts';

/** Through the service, so that events are published and rules are checked in one place. */
export function imageStoreOver(client: ServiceClient<typeof images.ImagesService>): ImageStore {
  return {
    get: async (name) => toImage((await client.get({ name })).image),
    list: async (filter) => {
      const all = (await client.list({ filters: [] })).images.map(toImage);
      return filter === undefined ? all : all.filter((image) => filter(imageFields(image)));
    },
    create: async (image) => toImage((await client.create({ image: toWire(image) })).image),
    update: async (image, fields) =>
      toImage(
        (await client.update({ image: toWire(image), updateMask: fields === undefined ? undefined : [...fields] }))
          .image,
      ),
    delete: async (name) => {
      await client.delete({ name });
    },
  };
}

export function leasesOver(client: ServiceClient<typeof leases.LeasesService>): LeaseManager {
  return {
    async create(options = {}) {
      const labels: { [key: string]: string } = { ...options.labels };
      if (options.expiresAt !== undefined) labels[labelKeys.gcExpire] = options.expiresAt.toISOString();
      const { lease } = await client.create({ id: options.id ?? '', labels });
      const { id, labels: stored, createdAt } = lease as leaseWire.Lease;
      return { id, labels: stored, createdAt: dateOf(createdAt) };
    },
    async delete(id, options) {
      await client.delete({ id, sync: options?.isSynchronous ?? false });
    },
  };
}

function toWire(image: NewImage): wire.Image {
  return {
    name: image.name,
    labels: { ...image.labels },
    target: toWireDescriptor(image.target),
    createdAt: undefined,
    updatedAt: undefined,
  };
}

function toImage(image: wire.Image | undefined): Image {
  const { name, labels, target, createdAt, updatedAt } = image as wire.Image;
  const { mediaType = '', digest = '', size = 0n, annotations = {} } = target ?? {};
  return {
    name,
    labels,
    target: { mediaType, digest: parseDigest(digest), size: Number(size), annotations },
    createdAt: dateOf(createdAt),
    updatedAt: dateOf(updatedAt),
  };
}

const dateOf = (time: wire.Image['createdAt']): Date =>
  time === undefined ? new Date(0) : new Date(Number(fromTimestamp(time) / 1_000_000n));
