/** `containerd.services.snapshots.v1.Snapshots`. */
import { type CallContext, eventTypes, type ServiceHandlers, snapshots as wire } from '@boxship/api';
import { BoxshipError, parseFilters } from '@boxship/base';
import type { SnapshotInfo, SnapshotKind, SnapshotOptions, Snapshotter } from '@boxship/image-store';
import type { EventExchange } from '../events/exchange.ts';
import type { SnapshotTable } from '../metadata/snapshots.ts';
import { inBlocks, labelFields, toWireMount, toWireTime } from './convert.ts';

export interface SnapshotTables {
  readonly snapshots: ReadonlyMap<string, SnapshotTable>;
  /** Names that this host does not allow, and why. */
  readonly refusedSnapshotters: ReadonlyMap<string, string>;
}

/** @throws invalidArgument for an empty or unknown snapshotter name */
export function snapshotterOf(tables: SnapshotTables, name: string, namespace: string): Snapshotter {
  if (name === '') throw new BoxshipError('invalidArgument', 'snapshotter argument missing');
  const table = tables.snapshots.get(name);
  if (table === undefined) {
    const refusal = tables.refusedSnapshotters.get(name);
    throw new BoxshipError(
      'invalidArgument',
      `snapshotter not loaded: ${name}${refusal === undefined ? '' : `: ${refusal}`}`,
    );
  }
  return table.in(namespace);
}

export function snapshotsService(options: {
  tables: SnapshotTables;
  events: EventExchange;
}): ServiceHandlers<typeof wire.SnapshotsService> {
  const { tables, events } = options;
  const of = (request: { snapshotter: string }, context: CallContext) =>
    snapshotterOf(tables, request.snapshotter, context.namespace);
  const make = async (how: 'prepare' | 'view', request: wire.PrepareSnapshotRequest, context: CallContext) => {
    const { key, parent, snapshotter, labels } = request;
    const mounts = await of(request, context)[how](key, parent, snapshotOptions(labels, context));
    const event = { key, parent, snapshotter };
    events.emit(
      context.namespace,
      '/snapshot/prepare',
      'containerd.events.SnapshotPrepare',
      eventTypes.SnapshotPrepare,
      event,
    );
    return { mounts: mounts.map(toWireMount) };
  };
  return {
    prepare: (request, context) => make('prepare', request, context),
    view: (request, context) => make('view', request, context),
    async mounts(request, context) {
      return { mounts: (await of(request, context).mounts(request.key)).map(toWireMount) };
    },
    async commit(request, context) {
      const { key, name, snapshotter } = request;
      await of(request, context).commit(name, key, snapshotOptions(request.labels, context));
      const event = { key, name, snapshotter };
      events.emit(
        context.namespace,
        '/snapshot/commit',
        'containerd.events.SnapshotCommit',
        eventTypes.SnapshotCommit,
        event,
      );
      return {};
    },
    async remove(request, context) {
      const { key, snapshotter } = request;
      await of(request, context).remove(key);
      const event = { key, snapshotter };
      events.emit(
        context.namespace,
        '/snapshot/remove',
        'containerd.events.SnapshotRemove',
        eventTypes.SnapshotRemove,
        event,
      );
      return {};
    },
    async stat(request, context) {
      return { info: toWireInfo(await of(request, context).stat(request.key)) };
    },
    async update(request, context) {
      const { name = '', labels = {} } = request.info ?? {};
      const info = await of(request, context).update({
        name,
        labels,
        ...labelFields(request.updateMask, `snapshot ${name}`),
      });
      return { info: toWireInfo(info) };
    },
    async *list(request, context) {
      const infos = of(request, context).list(parseFilters(request.filters));
      for await (const block of inBlocks(infos)) yield { info: block.map(toWireInfo) };
    },
    async usage(request, context) {
      const usage = await of(request, context).usage(request.key);
      return { size: BigInt(usage.sizeBytes), inodes: BigInt(usage.inodes) };
    },
    async cleanup(request, context) {
      await of(request, context).cleanup();
      return {};
    },
  };
}

function snapshotOptions(labels: { [key: string]: string }, context: CallContext): SnapshotOptions {
  return context.lease === undefined ? { labels } : { labels, lease: context.lease };
}

const kinds = {
  active: wire.Kind.ACTIVE,
  view: wire.Kind.VIEW,
  committed: wire.Kind.COMMITTED,
} as const satisfies Record<SnapshotKind, wire.Kind>;

function toWireInfo(info: SnapshotInfo): wire.Info {
  return {
    name: info.name,
    parent: info.parent,
    kind: kinds[info.kind],
    createdAt: toWireTime(info.createdAt),
    updatedAt: toWireTime(info.updatedAt),
    labels: { ...info.labels },
  };
}
