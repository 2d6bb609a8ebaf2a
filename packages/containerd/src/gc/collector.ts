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
import { reachable } from './mark-sweep.ts';
import { isExpired, isRoot, labelEdges, type Node, nodeKey } from './references.ts';

const ingestLifeMs = 24 * 60 * 60 * 1000;

export interface CollectorOptions {
  readonly database: Database;
  readonly namespaces: NamespaceTable;
  readonly leases: LeaseTable;
  readonly images: RecordTable<images.Image>;
  readonly containers: RecordTable<containers.Container>;
  readonly content: ContentTable;
  readonly snapshots: ReadonlyMap<string, SnapshotTable>;
  readonly log: Logger;
}

/** Runs one collection to its end. */
export async function collect(options: CollectorOptions): Promise<void> {
  const abandoned = options.database.transaction(() => {
    const ingests: { namespace: string; ref: string }[] = [];
    for (const namespace of options.namespaces.list()) ingests.push(...sweepRows(options, namespace));
    return ingests;
  });
  for (const { namespace, ref } of abandoned) await abort(options.content.in(namespace), ref);
  await sweepBlobs(options);
  for (const table of options.snapshots.values()) await sweepSnapshots(options, table);
}

function sweepRows(options: CollectorOptions, namespace: string): { namespace: string; ref: string }[] {
  const { database, leases, content, snapshots } = options;
  const now = Date.now();
  const roots: Node[] = [];
  for (const lease of leases.records.list(namespace)) {
    if (isExpired(lease.labels, now)) {
      leases.delete(namespace, lease.id);
      continue;
    }
    const isFlat = 'containerd.io/gc.flat' in lease.labels;
    for (const { type, resource } of leases.resources(namespace, lease.id)) {
      if (type === 'content') roots.push({ type: 'content', name: resource, isFlat });
      else if (type === 'ingests') roots.push({ type: 'ingest', name: resource });
      else if (type.startsWith('snapshots/'))
        roots.push({ type: 'snapshot', name: `${type.slice('snapshots/'.length)}/${resource}`, isFlat });
    }
  }
  for (const image of options.images.list(namespace)) {
    if (image.target !== undefined) roots.push({ type: 'content', name: image.target.digest });
    roots.push(...labelEdges(image.labels));
  }
  for (const container of options.containers.list(namespace)) {
    if (container.snapshotKey !== '')
      roots.push({ type: 'snapshot', name: `${container.snapshotter}/${container.snapshotKey}` });
    roots.push(...labelEdges(container.labels));
  }
  const blobs = new Map(content.rows(namespace).map((row) => [row.digest, row.labels]));
  for (const [digest, labels] of blobs) if (isRoot(labels)) roots.push({ type: 'content', name: digest });
  const trees = new Map<string, { parent: string; labels: { [key: string]: string } }>();
  for (const [name, table] of snapshots) {
    for (const row of table.rows(namespace)) {
      const { labels } = wire.Info.decode(row.record);
      trees.set(`${name}/${row.key}`, { parent: row.parent === '' ? '' : `${name}/${row.parent}`, labels });
      if (isRoot(labels)) roots.push({ type: 'snapshot', name: `${name}/${row.key}` });
    }
  }
  const ingests = database
    .prepare('SELECT ref, expected, started_ms FROM ingests WHERE namespace = ?')
    .all(namespace) as unknown as {
    ref: string;
    expected: string;
    started_ms: number;
  }[];
  const expectedBy = new Map(ingests.map((ingest) => [ingest.ref, ingest.expected]));
  for (const ingest of ingests)
    if (now - ingest.started_ms < ingestLifeMs) roots.push({ type: 'ingest', name: ingest.ref });

  function* edges(node: Node): Iterable<Node> {
    if (node.type === 'ingest') {
      const expected = expectedBy.get(node.name) ?? '';
      if (expected !== '') yield { type: 'content', name: expected };
    } else if (node.type === 'content') {
      if (node.isFlat !== true) yield* labelEdges(blobs.get(node.name) ?? {});
    } else {
      const tree = trees.get(node.name);
      if (tree === undefined) return;
      if (tree.parent !== '') yield { type: 'snapshot', name: tree.parent, isFlat: node.isFlat ?? false };
      if (node.isFlat !== true) yield* labelEdges(tree.labels);
    }
  }
  // apart: what a flat lease holds may be held by others in full
  const [flat, full] = [roots.filter((root) => root.isFlat === true), roots.filter((root) => root.isFlat !== true)];
  const marked = new Set([...reachable(full, nodeKey, edges), ...reachable(flat, nodeKey, edges)]);

  for (const digest of blobs.keys()) {
    if (!marked.has(nodeKey({ type: 'content', name: digest })))
      database.prepare('DELETE FROM blobs WHERE namespace = ? AND digest = ?').run(namespace, digest);
  }
  for (const tree of trees.keys()) {
    if (marked.has(nodeKey({ type: 'snapshot', name: tree }))) continue;
    const slash = tree.indexOf('/');
    snapshots.get(tree.slice(0, slash))?.remove(namespace, tree.slice(slash + 1));
  }
  return ingests
    .filter(({ ref }) => !marked.has(nodeKey({ type: 'ingest', name: ref })))
    .map(({ ref }) => ({ namespace, ref }));
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
