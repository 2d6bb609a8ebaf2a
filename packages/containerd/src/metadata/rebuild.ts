/**
 * Metadata made again after the database was lost. What the journal knew is back already; here it is brought together with what
 * lies on the disk, and where there was no journal either, found in content, snapshots and bundles: blobs and their references,
 * images without names, snapshots under their old keys, containers as their bundles describe them. What is found and not known
 * is held by a lease, so that nothing of it is collected before somebody has looked.
 */
import { type images, nowTimestamp, typeUrls } from '@boxship/api';
import { BoxshipError, messageOf } from '@boxship/base';
import { labelKeys, readBlob, referenceLabels } from '@boxship/image-store';
import {
  chainId,
  isConfigType,
  type ManifestDocument,
  maxManifestBytes,
  parseDigest,
  parseImageConfig,
  parseManifest,
} from '@boxship/oci';
import type { CollectorOptions } from '../gc/collector.ts';
import { newRecord } from './snapshot-commits.ts';
import type { SnapshotTable } from './snapshots.ts';

/** Holds what was found without a record. Delete it when all is well: `ctr leases rm boxship-recovered`. */
export const recoveredLease = 'boxship-recovered';

/** A container as its bundle shows it. */
export interface FoundBundle {
  readonly namespace: string;
  readonly id: string;
  /** `config.json`. */
  readonly spec: Buffer;
}

type Tables = CollectorOptions;

/** After a lost database. `isKnown`: the journal had everything, and only the two are compared. */
export async function rebuildMetadata(
  tables: Tables,
  options: { readonly isKnown: boolean; readonly bundles: readonly FoundBundle[] },
): Promise<void> {
  await takeNumbers(tables);
  await dropLost(tables);
  const found = options.isKnown ? { blobs: 0, images: 0, snapshots: 0 } : await scan(tables, options.bundles);
  const containers = restoreContainers(tables, options.bundles);
  tables.log.warn('metadata was rebuilt', { fromJournal: options.isKnown, ...found, containers });
}

/** Numbers that names of snapshots below carry are not given again. */
async function takeNumbers({ database, snapshots }: Tables): Promise<void> {
  let highest = 0;
  for (const { options } of snapshots.values())
    for await (const { name } of options.backend.list()) highest = Math.max(highest, splitBackend(name)?.number ?? 0);
  database.prepare('UPDATE sequence SET next = max(next, ?)').run(highest + 1);
}

/** `<namespace>/<number>/<key>`, as {@link SnapshotTable} names snapshots below. */
function splitBackend(name: string): { namespace: string; number: number; key: string } | undefined {
  const [, namespace, number, key] = /^([^/]+)\/(\d+)\/(.+)$/s.exec(name) ?? [];
  return namespace === undefined || key === undefined ? undefined : { namespace, number: Number(number), key };
}

/** Rows of blobs that are gone; those of snapshots are looked through at every start. */
async function dropLost({ database, namespaces, content, log }: Tables): Promise<void> {
  const { backend } = content.options;
  for (const namespace of namespaces.list()) {
    for (const { digest, size } of content.rows(namespace)) {
      const info = await backend.info(parseDigest(digest)).catch(ignoreMissing);
      if (info?.size === Number(size)) continue;
      log.error('a blob of the metadata is not there', { namespace, digest });
      database.prepare('DELETE FROM blobs WHERE namespace = ? AND digest = ?').run(namespace, digest);
    }
  }
}

function ignoreMissing(error: unknown): undefined {
  if (!BoxshipError.is(error, 'notFound')) throw error;
}

async function scan(tables: Tables, bundles: readonly FoundBundle[]) {
  const namespaces = new Set(bundles.map(({ namespace }) => namespace));
  let snapshots = 0;
  for (const table of tables.snapshots.values()) snapshots += await scanSnapshots(tables, table, namespaces);
  if (namespaces.size === 0) namespaces.add('default');
  for (const namespace of namespaces) holdLease(tables, namespace);
  const { blobs, images } = await scanContent(tables, namespaces);
  return { blobs, images, snapshots };
}

function holdLease({ leases }: Tables, namespace: string): void {
  if (leases.records.get(namespace, recoveredLease) !== undefined) return;
  leases.records.put(namespace, recoveredLease, { id: recoveredLease, createdAt: nowTimestamp(), labels: {} });
}

async function scanSnapshots(tables: Tables, table: SnapshotTable, namespaces: Set<string>): Promise<number> {
  let count = 0;
  for await (const info of table.options.backend.list()) {
    const own = splitBackend(info.name);
    if (own === undefined) continue;
    const { namespace, key } = own;
    namespaces.add(namespace);
    holdLease(tables, namespace);
    // a key that a crash left twice: the one that was made last is the one that was used
    table.put(namespace, key, info.name, splitBackend(info.parent)?.key ?? '', newRecord({ ...info.labels }));
    tables.leases.addResource(namespace, recoveredLease, `snapshots/${table.options.name}`, key);
    count++;
  }
  return count;
}

async function scanContent(tables: Tables, namespaces: ReadonlySet<string>) {
  const { content, leases, snapshots, log } = tables;
  const documents = new Map<string, { readonly document: ManifestDocument; readonly size: number }>();
  const configs = new Map<string, string>();
  const sizes = new Map<string, number>();
  for await (const { digest, size } of content.options.backend.walk()) {
    sizes.set(digest, size);
    if (size > maxManifestBytes) continue;
    const bytes = await readBlob(content.options.backend, { digest }, maxManifestBytes);
    if (bytes[0] !== 0x7b) continue; // no JSON object
    try {
      const text = JSON.parse(bytes.toString('utf8')) as { rootfs?: unknown; schemaVersion?: unknown };
      if (text.schemaVersion === 2) documents.set(digest, { document: parseManifest(bytes, '', digest), size });
      else if (text.rootfs !== undefined) configs.set(digest, chainId(parseImageConfig(bytes).rootfs.diff_ids) ?? '');
    } catch (error) {
      log.debug('a blob is no manifest', { digest, error: messageOf(error) });
    }
  }
  const children = new Set([...documents.values()].flatMap(({ document }) => childrenOf(document)));
  let images = 0;
  for (const namespace of namespaces) {
    for (const [digest, size] of sizes) {
      const labels: Record<string, string> = {};
      const known = documents.get(digest);
      if (known !== undefined) Object.assign(labels, referenceLabels(known.document));
      const chain = configs.get(digest) ?? '';
      for (const [name, table] of snapshots)
        if (chain !== '' && table.row(namespace, chain) !== undefined)
          labels[`${labelKeys.gcRefSnapshot}.${name}`] = chain;
      const now = nowTimestamp();
      content.put(namespace, { digest, size: BigInt(size), createdAt: now, updatedAt: now, labels });
      leases.addResource(namespace, recoveredLease, 'content', digest);
    }
    for (const [digest, { document, size }] of documents) {
      if (children.has(digest) || !isImage(document)) continue;
      tables.images.put(namespace, ...foundImage(digest, size, document));
      images++;
    }
  }
  return { blobs: sizes.size, images };
}

const childrenOf = (document: ManifestDocument): string[] =>
  document.kind === 'index' ? document.manifests.map(({ digest }) => digest) : [];

const isImage = (document: ManifestDocument): boolean =>
  document.kind === 'index' || isConfigType(document.config.mediaType);

/** Under the name that the engine gives to images without one; who knows the right one can tag it. */
function foundImage(digest: string, size: number, document: ManifestDocument): [name: string, image: images.Image] {
  const name = `docker.io/library/untagged@${digest}`;
  const now = nowTimestamp();
  const target = { mediaType: document.mediaType, digest, size: BigInt(size), annotations: {} };
  return [name, { name, labels: {}, target, createdAt: now, updatedAt: now }];
}

/** Containers whose bundle is here and whose record is not. */
function restoreContainers({ containers, snapshots }: Tables, bundles: readonly FoundBundle[]): number {
  let count = 0;
  for (const { namespace, id, spec } of bundles) {
    if (containers.get(namespace, id) !== undefined) continue;
    const [snapshotter] = [...snapshots].find(([, table]) => table.row(namespace, id) !== undefined) ?? [''];
    const now = nowTimestamp();
    containers.put(namespace, id, {
      id,
      labels: {},
      image: '',
      runtime: { name: 'io.containerd.runc.v2', options: undefined },
      spec: { typeUrl: typeUrls.spec, value: spec },
      snapshotter,
      snapshotKey: snapshotter === '' ? '' : id,
      createdAt: now,
      updatedAt: now,
      extensions: {},
      sandbox: '',
    });
    count++;
  }
  return count;
}
