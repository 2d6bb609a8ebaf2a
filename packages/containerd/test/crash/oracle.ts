/**
 * Opens the stores on what a power cut left, as the next start does, and says what is wrong: a promise that does not hold,
 * bytes that do not have their digest, a file that nobody explains, a retry that does not succeed.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Logger, messageOf, silentLogger } from '@boxship/base';
import { fetchContent, labelKeys, platformImage, withMounts } from '@boxship/image-store';
import { digestHex, digestOf, parseDigest } from '@boxship/oci';
import { collect } from '../../src/gc/collector.ts';
import { openStores, type Stores } from '../../src/metadata/open-stores.ts';
import { fromWireDescriptor } from '../../src/services/convert.ts';
import type { Fact } from './facts.ts';

const namespace = 'crash';
const snapshotterName = 'overlayfs';

/** What is wrong; nothing in the good case. Mounting is only asked for now and then: it is slow. */
export async function faultsOf(
  root: string,
  facts: ReadonlyMap<string, readonly Fact[]>,
  options: { readonly isMounted: boolean; readonly round: number },
): Promise<string[]> {
  const faults: string[] = [];
  const log: Logger = {
    ...silentLogger,
    error: (message, fields) => faults.push(`${message} ${JSON.stringify(fields)}`),
  };
  await using resources = new AsyncDisposableStack();
  const stores = await openStores({ root, log, snapshotters: [snapshotterName], bootId: 'after the cut' }, resources);
  const compare = async (when: string) => {
    for (const [key, allowed] of facts) {
      const found = await read(stores, key, options.isMounted);
      if (!allowed.includes(found)) faults.push(`${when}: ${key} is ${found}, not ${allowed.join(' or ')}`);
    }
  };
  await compare('after the start');
  faults.push(...wrongBlobs(root, stores));
  await retry(stores, options.round);
  await collect(stores);
  await compare('after a collection');
  faults.push(...(await strangers(root, stores)));
  return faults;
}

async function read(stores: Stores, key: string, isMounted: boolean): Promise<Fact> {
  const [kind = '', name = ''] = key.split(' ');
  switch (kind) {
    case 'lease':
      return stores.leases.records.get(namespace, name) === undefined ? null : 'here';
    case 'image':
      return stores.images.get(namespace, name)?.target?.digest ?? null;
    case 'whole':
      return await readWhole(stores, name);
    case 'container':
      return stores.containers.get(namespace, name)?.image ?? null;
    case 'blob': {
      const row = stores.content.row(namespace, name);
      return row === undefined ? null : JSON.stringify(row.labels);
    }
    default:
      return await readSnapshot(stores, name, isMounted);
  }
}

/** Of an image that was pulled: its blobs, with the labels that unpacking has set. */
async function readWhole(stores: Stores, name: string): Promise<Fact> {
  const target = stores.images.get(namespace, name)?.target;
  if (target === undefined) return null;
  const content = stores.content.in(namespace);
  try {
    const { manifest } = await platformImage(content, fromWireDescriptor(target));
    const [layer] = await Promise.all(manifest.layers.map(({ digest }) => content.info(digest)));
    const config = await content.info(manifest.config.digest);
    const isLabelled =
      layer?.labels[labelKeys.uncompressed] !== undefined &&
      config.labels[`${labelKeys.gcRefSnapshot}.${snapshotterName}`] !== undefined;
    return isLabelled ? 'whole' : 'without labels';
  } catch (error) {
    return `in part: ${messageOf(error)}`;
  }
}

async function readSnapshot(stores: Stores, name: string, isMounted: boolean): Promise<Fact> {
  const table = stores.snapshots.get(snapshotterName);
  const snapshots = table?.in(namespace);
  if (snapshots === undefined || table?.row(namespace, name) === undefined) return null;
  const { kind } = await snapshots.stat(name);
  if (kind !== 'committed') {
    await snapshots.mounts(name);
    return kind;
  }
  if (!isMounted) return `committed ${name}`;
  const key = `look-${name}`;
  const mounts = await snapshots.view(key, name);
  const text = await withMounts(mounts, async (path) => readFileSync(join(path, 'file'), 'utf8'));
  await snapshots.remove(key);
  return `committed ${text}`;
}

/** Every file under a digest has it, and every row its file. */
function wrongBlobs(root: string, stores: Stores): string[] {
  const directory = join(root, 'io.containerd.content.v1.content/blobs/sha256');
  const wrong: string[] = [];
  const sizes = new Map<string, number>();
  for (const hex of readdirSync(directory)) {
    const bytes = readFileSync(join(directory, hex));
    sizes.set(`sha256:${hex}`, bytes.length);
    if (digestHex(digestOf(bytes)) !== hex) wrong.push(`the blob ${hex} has other bytes`);
  }
  for (const { digest, size } of stores.content.rows(namespace))
    if (sizes.get(digest) !== Number(size)) wrong.push(`the row of ${digest} has no blob of ${size} bytes`);
  return wrong;
}

/** What was cut off is brought again, whatever is left of it. */
async function retry(stores: Stores, round: number): Promise<void> {
  const bytes = Buffer.alloc(7000, `r${round} cut `);
  const digest = digestOf(bytes);
  await fetchContent({
    content: stores.content.in(namespace),
    descriptor: { mediaType: 'application/octet-stream', digest, size: bytes.length },
    what: 'ref',
    source: async function* (offset) {
      yield bytes.subarray(offset);
    },
    labels: () => ({ 'containerd.io/gc.root': 'yes' }),
  });
  const parts: Uint8Array[] = [];
  for await (const part of stores.content.in(namespace).read({ digest: parseDigest(digest) })) parts.push(part);
  if (!Buffer.concat(parts).equals(bytes)) throw new Error(`${digest} reads other bytes than were written`);
}

/** Files and directories that no record explains, once a collection is done. */
async function strangers(root: string, stores: Stores): Promise<string[]> {
  const table = stores.snapshots.get(snapshotterName);
  await table?.in(namespace).cleanup();
  const known = new Set<string>();
  for (const { backend } of table?.rows(namespace) ?? []) known.add(backend);
  const below: string[] = [];
  for await (const { name } of table?.options.backend.list() ?? []) below.push(name);
  const directories = readdirSync(join(root, `io.containerd.snapshotter.v1.${snapshotterName}/snapshots`));
  const blobs = readdirSync(join(root, 'io.containerd.content.v1.content/blobs/sha256'));
  return [
    ...below.filter((name) => !known.has(name)).map((name) => `the snapshot ${name} belongs to nobody`),
    ...(directories.length === below.length ? [] : [`${directories.length} directories for ${below.length} snapshots`]),
    ...blobs
      .filter((hex) => !stores.content.isListed(`sha256:${hex}`))
      .map((hex) => `the blob ${hex} belongs to nobody`),
  ];
}
