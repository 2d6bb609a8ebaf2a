/**
 * `containerd.services.transfer.v1.Transfer`: what moves images is done by the server. Which way it goes is said by the types of
 * source and destination; progress, credentials and data travel over streams that the client has opened beforehand.
 */
import { type ServiceHandlers, typeNameOf, type transferTypes as types, type transfer as wire } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import { pull, push } from '@boxship/image-store';
import { exportArchive, importArchive } from './transfer-archive.ts';
import {
  message,
  openRegistry,
  type Transfer,
  type TransferOptions,
  toPlatform,
  withProgress,
} from './transfer-messages.ts';
import { tagImage } from './transfer-tag.ts';

export function transferService(options: TransferOptions): ServiceHandlers<typeof wire.TransferService> {
  return {
    async transfer({ source, destination, options: chosen }, context) {
      const transfer: Transfer = {
        options,
        stores: options.stores(context.namespace),
        context,
        progressStream: chosen?.progressStream ?? '',
      };
      const from = {
        registry: message<types.OCIRegistry>(source, 'OCIRegistry'),
        store: message<types.ImageStore>(source, 'ImageStore'),
        archive: message<types.ImageImportStream>(source, 'ImageImportStream'),
      };
      const to = {
        registry: message<types.OCIRegistry>(destination, 'OCIRegistry'),
        store: message<types.ImageStore>(destination, 'ImageStore'),
        archive: message<types.ImageExportStream>(destination, 'ImageExportStream'),
      };
      if (from.registry !== undefined && to.store !== undefined) await pullImage(transfer, from.registry, to.store);
      else if (from.store !== undefined && to.registry !== undefined)
        await pushImage(transfer, from.store, to.registry);
      else if (from.archive !== undefined && to.store !== undefined)
        await importArchive(transfer, from.archive, to.store);
      else if (from.store !== undefined && to.archive !== undefined)
        await exportArchive(transfer, from.store, to.archive);
      else if (from.store !== undefined && to.store !== undefined) await tagImage(transfer, from.store, to.store);
      else
        throw new BoxshipError(
          'unimplemented',
          `transfer from ${typeNameOf(source?.typeUrl ?? '')} to ${typeNameOf(destination?.typeUrl ?? '')} is not supported`,
        );
      return {};
    },
  };
}

async function pullImage(transfer: Transfer, source: types.OCIRegistry, destination: types.ImageStore): Promise<void> {
  const { options, stores, context } = transfer;
  const [unpack] = destination.unpacks;
  const name = unpack === undefined || unpack.snapshotter === '' ? options.defaultSnapshotter : unpack.snapshotter;
  const platform = toPlatform(unpack?.platform ?? destination.platforms[0]);
  await withProgress(transfer, async (onProgress) => {
    await using registry = await openRegistry(transfer, source);
    await pull({
      reference: source.reference,
      registry,
      content: stores.content,
      images: stores.images,
      leases: stores.leases,
      labels: destination.labels,
      ...(destination.name === '' ? {} : { name: destination.name }),
      ...(context.lease === undefined ? {} : { lease: context.lease }),
      ...(platform === undefined ? {} : { platform }),
      isAllPlatforms: destination.allMetadata,
      ...(unpack === undefined
        ? {}
        : { unpack: { snapshotter: stores.snapshotter(name), snapshotterName: name, applier: stores.applier } }),
      signal: context.signal,
      log: options.log,
      onProgress,
    });
  });
}

async function pushImage(transfer: Transfer, source: types.ImageStore, destination: types.OCIRegistry): Promise<void> {
  const { stores, context } = transfer;
  const platform = toPlatform(source.platforms[0]);
  const { target } = await stores.images.get(source.name);
  await withProgress(transfer, async (onProgress) => {
    await using registry = await openRegistry(transfer, destination);
    await push({
      reference: destination.reference,
      target,
      registry,
      content: stores.content,
      ...(platform === undefined ? {} : { platform }),
      signal: context.signal,
      onProgress,
    });
  });
}
