/**
 * One collection: marks per namespace in one transaction (synchronous, so that no write comes in between), removes the rows
 * of what was not reached, then frees blobs and snapshots below that no row names any more.
 */
import type { containers, images } from '@boxship/api';
import { snapshots as wire } from '@boxship/api';
import { BoxshipError, type Logger } from '@boxship/base';
import type { ContentStore } from '@boxship/image-store';
import type { ContentTable } from '../metadata/content.ts';
import type { Database } from '../metadata/database.ts';
import type { LeaseTable } from '../metadata/leases.ts';
import type { NamespaceTable } from '../metadata/namespaces.ts';
import type { RecordTable } from '../metadata/record-table.ts';
import type { SnapshotTable } from '../metadata/snapshots.ts';
import { ObjectGraph } from './graph.ts';
import { isExpired, isRoot, type Node, nodeKey } from './references.ts';

const ingestLifeMs = 24 * 60 * 60 * 1000;

export interface CollectorOptions {
  readonly database: Database;
  readonly namespaces: NamespaceTable;
  readonly leases: LeaseTable;
  readonly images: RecordTable<images.Image>;
  readonly containers: RecordTable<containers.Container>;
  readonly content: ContentTable;
  readonly snapshots: ReadonlyMap<string, SnapshotTable>;
  /** Told of an image whose time is over, after it is gone. */
  readonly onImageExpired?: (namespace: string, name: string) => void;
  readonly log: Logger;
}

/** What is to be done after the rows are gone. */
interface Swept {
  readonly namespace: string;
  /** Refs of ingests that nobody goes on with. */
  readonly ingests: readonly string[];
  readonly images: readonly string[];
}

/** Runs one collection to its end. */
export async function collect(options: CollectorOptions): Promise<void> {
  const swept = options.database.transaction(() =>
    options.namespaces.list().map((namespace) => sweepRows(options, namespace)),
  );
  for (const { namespace, ingests, images } of swept) {
    for (const name of images) options.onImageExpired?.(namespace, name);
    for (const ref of ingests) await abort(options.content.in(namespace), ref);
  }
  await sweepBlobs(options);
  for (const table of options.snapshots.values()) await sweepSnapshots(options, table);
}

function sweepRows(options: CollectorOptions, namespace: string): Swept {
  const { database, content, snapshots } = options;
  const now = Date.now();
  const graph = new ObjectGraph();
  holdLeased(options, namespace, graph, now);
  for (const { name, labels, target } of options.images.list(namespace)) {
    const needs: Node[] = target === undefined ? [] : [{ type: 'content', name: target.digest }];
    graph.add({ node: { type: 'image', name }, labels, needs, isRoot: !isExpired(labels, now) });
  }
  for (const { id, labels, snapshotter, snapshotKey } of options.containers.list(namespace)) {
    const needs: Node[] = snapshotKey === '' ? [] : [{ type: 'snapshot', name: `${snapshotter}/${snapshotKey}` }];
    graph.add({ node: { type: 'container', name: id }, labels, needs, isRoot: true });
  }
  for (const { digest, labels } of content.rows(namespace))
    graph.add({ node: { type: 'content', name: digest }, labels, isRoot: isRoot(labels) });
  for (const [name, table] of snapshots) {
    for (const { key, parent, record } of table.rows(namespace)) {
      const { labels } = wire.Info.decode(record);
      const needs: Node[] = parent === '' ? [] : [{ type: 'snapshot', name: `${name}/${parent}` }];
      graph.add({ node: { type: 'snapshot', name: `${name}/${key}` }, labels, needs, isRoot: isRoot(labels) });
    }
  }
  const ingests = database
    .prepare('SELECT ref, expected, started_ms FROM ingests WHERE namespace = ?')
    .all(namespace) as unknown as { ref: string; expected: string; started_ms: number }[];
  for (const { ref, expected, started_ms: startedMs } of ingests) {
    const needs: Node[] = expected === '' ? [] : [{ type: 'content', name: expected }];
    graph.add({ node: { type: 'ingest', name: ref }, needs, isRoot: now - startedMs < ingestLifeMs });
  }

  const reached = graph.reached();
  const isGarbage = (type: Node['type'], name: string) => !reached.has(nodeKey({ type, name }));
  const images = options.images
    .list(namespace)
    .map(({ name }) => name)
    .filter((name) => isGarbage('image', name));
  for (const name of images) options.images.delete(namespace, name);
  for (const { digest } of content.rows(namespace)) {
    if (isGarbage('content', digest))
      database.prepare('DELETE FROM blobs WHERE namespace = ? AND digest = ?').run(namespace, digest);
  }
  for (const [name, table] of snapshots)
    for (const { key } of table.rows(namespace))
      if (isGarbage('snapshot', `${name}/${key}`)) table.remove(namespace, key);
  return { namespace, images, ingests: ingests.map(({ ref }) => ref).filter((ref) => isGarbage('ingest', ref)) };
}

/** Ends leases that have expired; what the others hold is kept. */
function holdLeased({ leases }: CollectorOptions, namespace: string, graph: ObjectGraph, now: number): void {
  for (const lease of leases.records.list(namespace)) {
    if (isExpired(lease.labels, now)) {
      leases.delete(namespace, lease.id);
      continue;
    }
    const isFlat = 'containerd.io/gc.flat' in lease.labels;
    for (const { type, resource } of leases.resources(namespace, lease.id)) {
      if (type === 'content') graph.hold({ type: 'content', name: resource, isFlat });
      else if (type === 'ingests') graph.hold({ type: 'ingest', name: resource });
      else if (type === 'images') graph.hold({ type: 'image', name: resource, isFlat });
      else if (type.startsWith('snapshots/'))
        graph.hold({ type: 'snapshot', name: `${type.slice('snapshots/'.length)}/${resource}`, isFlat });
    }
  }
}

async function sweepBlobs(options: CollectorOptions): Promise<void> {
  const { backend } = options.content.options;
  for await (const { digest } of backend.walk()) {
    await options.content.removeUnlisted(digest);
  }
}

async function sweepSnapshots(options: CollectorOptions, table: SnapshotTable): Promise<void> {
  const { backend, name } = table.options;
  const listed = (key: string) =>
    table.pending.has(key) ||
    options.database.prepare('SELECT 1 FROM snapshots WHERE snapshotter = ? AND backend = ?').get(name, key) !==
      undefined;
  // leaves first: a round removes what has no children left; ends when a round removes nothing
  for (let removed = 1; removed > 0; ) {
    removed = 0;
    const infos = [];
    for await (const info of backend.list()) infos.push(info);
    const parents = new Set(infos.map((info) => info.parent));
    for (const info of infos) {
      if (parents.has(info.name) || listed(info.name)) continue;
      try {
        await backend.remove(info.name);
        removed++;
      } catch (error) {
        if (BoxshipError.is(error, 'notFound')) continue;
        // a mounted or busy directory stays until the next run
        options.log.warn('a snapshot could not be freed', { snapshotter: name, snapshot: info.name, error });
      }
    }
  }
}

async function abort(store: ContentStore, ref: string): Promise<void> {
  try {
    await store.abort(ref);
  } catch (error) {
    // unavailable: a writer has it open again, so it is no garbage after all
    if (!BoxshipError.is(error, 'notFound') && !BoxshipError.is(error, 'unavailable')) throw error;
  }
}
