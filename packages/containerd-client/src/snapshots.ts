/** One snapshotter of a remote containerd, behind the image store's contract. */

import type { CallOptions, ContainerdServices } from '@boxship/api';
import { snapshots as wire } from '@boxship/api';
import { BoxshipError, type FilterPredicate } from '@boxship/base';
import {
  type SnapshotInfo,
  type SnapshotKind,
  type SnapshotOptions,
  type Snapshotter,
  snapshotFields,
} from '@boxship/image-store';
import { fromWireMount, fromWireTime, isMatch, labelMask } from './convert.ts';

export function remoteSnapshotter(services: Pick<ContainerdServices, 'snapshots'>, snapshotter: string): Snapshotter {
  const { snapshots } = services;
  return {
    async stat(key) {
      return fromWireInfo((await snapshots.stat({ snapshotter, key })).info);
    },
    async update({ name, labels, fields }) {
      const info = {
        name,
        parent: '',
        kind: wire.Kind.UNKNOWN,
        createdAt: undefined,
        updatedAt: undefined,
        labels: { ...labels },
      };
      return fromWireInfo((await snapshots.update({ snapshotter, info, updateMask: labelMask(fields) })).info);
    },
    async usage(key) {
      const { size, inodes } = await snapshots.usage({ snapshotter, key });
      return { sizeBytes: Number(size), inodes: Number(inodes) };
    },
    async mounts(key) {
      return (await snapshots.mounts({ snapshotter, key })).mounts.map(fromWireMount);
    },
    async prepare(key, parent, options) {
      const request = { snapshotter, key, parent, labels: { ...options?.labels } };
      return (await snapshots.prepare(request, leaseOf(options))).mounts.map(fromWireMount);
    },
    async view(key, parent, options) {
      const request = { snapshotter, key, parent, labels: { ...options?.labels } };
      return (await snapshots.view(request, leaseOf(options))).mounts.map(fromWireMount);
    },
    async commit(name, key, options) {
      await snapshots.commit({ snapshotter, name, key, labels: { ...options?.labels } }, leaseOf(options));
    },
    async remove(key) {
      await snapshots.remove({ snapshotter, key });
    },
    async *list(filter?: FilterPredicate) {
      for await (const { info } of snapshots.list({ snapshotter, filters: [] }, { timeoutMs: 0 }))
        for (const item of info.map(fromWireInfo)) if (isMatch(filter, snapshotFields, item)) yield item;
    },
    async cleanup() {
      await snapshots.cleanup({ snapshotter });
    },
    async close() {},
  };
}

function leaseOf(options: SnapshotOptions | undefined): CallOptions {
  return options?.lease === undefined ? {} : { lease: options.lease };
}

const kinds = new Map<wire.Kind, SnapshotKind>([
  [wire.Kind.ACTIVE, 'active'],
  [wire.Kind.VIEW, 'view'],
  [wire.Kind.COMMITTED, 'committed'],
]);

function fromWireInfo(info: wire.Info | undefined): SnapshotInfo {
  const kind = info === undefined ? undefined : kinds.get(info.kind);
  if (info === undefined || kind === undefined)
    throw new BoxshipError('internal', 'containerd answered without snapshot info');
  const { name, parent, labels, createdAt, updatedAt } = info;
  return { kind, name, parent, labels, createdAt: fromWireTime(createdAt), updatedAt: fromWireTime(updatedAt) };
}
