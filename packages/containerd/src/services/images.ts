/** `containerd.services.images.v1.Images`: names for target descriptors. */
import { images, nowTimestamp, type ServiceHandlers } from '@boxship/api';
import { BoxshipError, type FieldLookup, parseFilters } from '@boxship/base';
import { checkLabels } from '@boxship/image-store';
import { parseDigest } from '@boxship/oci';
import type { EventExchange } from '../events/exchange.ts';
import type { Database } from '../metadata/database.ts';
import { lookupLabel, refuseMaskPath, updateLabels } from '../metadata/labels.ts';
import type { RecordTable } from '../metadata/record-table.ts';

export type ImageTable = RecordTable<images.Image>;

export function imagesService(options: {
  database: Database;
  table: ImageTable;
  events: EventExchange;
  /** Tells the collector; `sync` waits for its run. */
  onDelete: (sync: boolean) => Promise<void>;
}): ServiceHandlers<typeof images.ImagesService> {
  const { database, table, events } = options;
  const get = (namespace: string, name: string): images.Image => {
    const image = table.get(namespace, name);
    if (image === undefined) throw new BoxshipError('notFound', `image "${name}"`);
    return image;
  };
  return {
    async get({ name }, context) {
      return { image: get(context.namespace, name) };
    },
    async list({ filters }, context) {
      const matches = parseFilters(filters);
      return { images: table.list(context.namespace).filter((image) => matches(imageLookup(image))) };
    },
    async create({ image, sourceDateEpoch }, context) {
      const { namespace } = context;
      const wanted = checkImage(image);
      const now = sourceDateEpoch ?? nowTimestamp();
      const record = { ...wanted, createdAt: now, updatedAt: now };
      database.transaction(() => {
        if (table.get(namespace, record.name) !== undefined)
          throw new BoxshipError('alreadyExists', `image "${record.name}"`);
        table.put(namespace, record.name, record);
      });
      emit('/images/create', 'ImageCreate', namespace, record);
      return { image: record };
    },
    async update({ image: wanted, updateMask, sourceDateEpoch }, context) {
      const { namespace } = context;
      if (wanted === undefined || wanted.name === '')
        throw new BoxshipError('invalidArgument', 'image name is required for update');
      const record = database.transaction(() => {
        const current = get(namespace, wanted.name);
        const next = checkImage({
          ...applyMask(current, wanted, updateMask),
          updatedAt: sourceDateEpoch ?? nowTimestamp(),
        });
        table.put(namespace, next.name, next);
        return next;
      });
      emit('/images/update', 'ImageUpdate', namespace, record);
      return { image: record };
    },
    async delete({ name, sync, target }, context) {
      const { namespace } = context;
      database.transaction(() => {
        const current = get(namespace, name);
        if (target !== undefined && target.digest !== current.target?.digest)
          throw new BoxshipError('notFound', `image "${name}" has a different target`);
        table.delete(namespace, name);
      });
      emitImageDelete(events, namespace, name);
      await options.onDelete(sync);
      return {};
    },
  };

  function emit(topic: string, type: 'ImageCreate' | 'ImageUpdate', namespace: string, image: images.Image): void {
    const { name, labels } = image;
    events.emit(namespace, topic, `containerd.services.images.v1.${type}`, images[type], { name, labels });
  }
}

/** An image is gone, by its owner's word or because its time was over. */
export function emitImageDelete(events: EventExchange, namespace: string, name: string): void {
  events.emit(namespace, '/images/delete', 'containerd.services.images.v1.ImageDelete', images.ImageDelete, { name });
}

function checkImage(image: images.Image | undefined): images.Image {
  if (image === undefined || image.name === '')
    throw new BoxshipError('invalidArgument', 'image name must not be empty');
  checkLabels(image.labels);
  if (image.target === undefined || image.target.digest === '')
    throw new BoxshipError('invalidArgument', `image ${image.name}: target digest must be set`);
  parseDigest(image.target.digest);
  if (image.target.size <= 0n)
    throw new BoxshipError('invalidArgument', `image ${image.name}: target size must be greater than 0`);
  return image;
}

function applyMask(current: images.Image, wanted: images.Image, mask: readonly string[] | undefined): images.Image {
  if (mask === undefined || mask.length === 0) return { ...current, labels: wanted.labels, target: wanted.target };
  const next = { ...current, labels: updateLabels(current.labels, wanted.labels, mask) };
  for (const path of mask) {
    if (path === 'labels' || path.startsWith('labels.')) continue;
    else if (path === 'target') next.target = wanted.target;
    else if (path === 'annotations' && next.target !== undefined)
      next.target = { ...next.target, annotations: wanted.target?.annotations ?? {} };
    else if (path.startsWith('annotations.') && next.target !== undefined) {
      const key = path.slice('annotations.'.length);
      const annotations = { ...next.target.annotations, [key]: wanted.target?.annotations[key] ?? '' };
      next.target = { ...next.target, annotations };
    } else refuseMaskPath(path, `image name "${current.name}"`);
  }
  return next;
}

function imageLookup(image: images.Image): FieldLookup {
  return (path) => {
    switch (path[0]) {
      case 'name':
        return image.name;
      case 'target':
        return path[1] === 'digest'
          ? image.target?.digest
          : path[1] === 'mediatype'
            ? image.target?.mediaType
            : undefined;
      case 'labels':
        return lookupLabel(image.labels, path);
      case 'annotations':
        return image.target?.annotations[path.slice(1).join('.')];
      default:
        return undefined;
    }
  };
}
