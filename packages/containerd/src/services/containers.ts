/** `containerd.services.containers.v1.Containers`: metadata of containers, no processes. */
import { type containers, eventTypes, nowTimestamp, type ServiceHandlers } from '@boxship/api';
import { BoxshipError, checkIdentifier, type FieldLookup, messageOf, parseFilters } from '@boxship/base';
import { checkLabels } from '@boxship/image-store';
import type { EventExchange } from '../events/exchange.ts';
import type { Database } from '../metadata/database.ts';
import { lookupLabel, updateLabels } from '../metadata/labels.ts';
import type { RecordTable } from '../metadata/record-table.ts';

export type ContainerTable = RecordTable<containers.Container>;

/** @throws notFound */
export function getContainer(table: ContainerTable, namespace: string, id: string): containers.Container {
  const container = table.get(namespace, id);
  if (container === undefined) throw new BoxshipError('notFound', `container "${id}" in namespace "${namespace}"`);
  return container;
}

export function containersService(options: {
  database: Database;
  table: ContainerTable;
  events: EventExchange;
  onDelete: () => void;
}): ServiceHandlers<typeof containers.ContainersService> {
  const { database, table, events } = options;
  const list = (namespace: string, filters: readonly string[]): containers.Container[] => {
    const matches = parseFilters(filters);
    return table.list(namespace).filter((container) => matches(containerLookup(container)));
  };
  return {
    async get({ id }, context) {
      return { container: getContainer(table, context.namespace, id) };
    },
    async list({ filters }, context) {
      return { containers: list(context.namespace, filters) };
    },
    async *listStream({ filters }, context) {
      for (const container of list(context.namespace, filters)) yield { container };
    },
    async create({ container }, context) {
      const { namespace } = context;
      const wanted = checkContainer(container);
      const now = nowTimestamp();
      const record = { ...wanted, createdAt: now, updatedAt: now };
      database.transaction(() => {
        if (table.get(namespace, record.id) !== undefined)
          throw new BoxshipError('alreadyExists', `container "${record.id}"`);
        table.put(namespace, record.id, record);
      });
      events.emit(namespace, '/containers/create', 'containerd.events.ContainerCreate', eventTypes.ContainerCreate, {
        id: record.id,
        image: record.image,
        runtime: record.runtime,
      });
      return { container: record };
    },
    async update({ container: wanted, updateMask }, context) {
      const { namespace } = context;
      if (wanted === undefined || wanted.id === '') throw new BoxshipError('invalidArgument', 'container ID required');
      const record = database.transaction(() => {
        const current = getContainer(table, namespace, wanted.id);
        const next = checkContainer({ ...applyMask(current, wanted, updateMask), updatedAt: nowTimestamp() });
        table.put(namespace, next.id, next);
        return next;
      });
      events.emit(namespace, '/containers/update', 'containerd.events.ContainerUpdate', eventTypes.ContainerUpdate, {
        id: record.id,
        image: record.image,
        labels: record.labels,
        snapshotKey: record.snapshotKey,
      });
      return { container: record };
    },
    async delete({ id }, context) {
      const { namespace } = context;
      if (!table.delete(namespace, id))
        throw new BoxshipError('notFound', `container "${id}" in namespace "${namespace}"`);
      events.emit(namespace, '/containers/delete', 'containerd.events.ContainerDelete', eventTypes.ContainerDelete, {
        id,
      });
      options.onDelete();
      return {};
    },
  };
}

function checkContainer(container: containers.Container | undefined): containers.Container {
  if (container === undefined) throw new BoxshipError('invalidArgument', 'container must be set');
  checkContainerId(container.id);
  checkLabels(container.labels);
  if (container.runtime === undefined || container.runtime.name === '')
    throw new BoxshipError('invalidArgument', `container ${container.id}: container.Runtime.Name must be set`);
  if (container.spec === undefined)
    throw new BoxshipError('invalidArgument', `container ${container.id}: container.Spec must be set`);
  if (container.snapshotKey !== '' && container.snapshotter === '')
    throw new BoxshipError(
      'invalidArgument',
      `container ${container.id}: container.Snapshotter must be set if container.SnapshotKey is set`,
    );
  return container;
}

function checkContainerId(id: string): void {
  try {
    checkIdentifier(id);
  } catch (cause) {
    const text = `create container failed validation: container.ID: ${messageOf(cause)}`;
    throw new BoxshipError('invalidArgument', text, { cause });
  }
}

function applyMask(
  current: containers.Container,
  wanted: containers.Container,
  mask: readonly string[] | undefined,
): containers.Container {
  if (mask === undefined || mask.length === 0) {
    if (wanted.snapshotter !== current.snapshotter)
      throw new BoxshipError('invalidArgument', 'container.Snapshotter field is immutable');
    if (wanted.runtime?.name !== current.runtime?.name)
      throw new BoxshipError('invalidArgument', 'container.Runtime.Name field is immutable');
    const { labels, spec, extensions, image, snapshotKey } = wanted;
    return { ...current, labels, spec, extensions, image, snapshotKey };
  }
  const next = { ...current, labels: updateLabels(current.labels, wanted.labels, mask) };
  for (const path of mask) {
    if (path === 'labels' || path.startsWith('labels.')) continue;
    else if (path === 'spec') next.spec = wanted.spec;
    else if (path === 'image') next.image = wanted.image;
    else if (path === 'snapshot_key') next.snapshotKey = wanted.snapshotKey;
    else if (path === 'extensions') next.extensions = wanted.extensions;
    else if (path.startsWith('extensions.')) {
      const key = path.slice('extensions.'.length);
      const value = wanted.extensions[key];
      const { [key]: _replaced, ...rest } = next.extensions;
      next.extensions = value === undefined ? rest : { ...rest, [key]: value };
    } else throw new BoxshipError('invalidArgument', `cannot update "${path}" field on "${current.id}"`);
  }
  return next;
}

function containerLookup(container: containers.Container): FieldLookup {
  return (path) => {
    switch (path[0]) {
      case 'id':
        return container.id;
      case 'image':
        return container.image;
      case 'runtime':
        return path[1] === 'name' ? container.runtime?.name : undefined;
      case 'labels':
        return lookupLabel(container.labels, path);
      default:
        return undefined;
    }
  };
}
