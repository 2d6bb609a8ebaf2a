/** The metadata database is lost: with its journal nothing is missing, without it what lies on the disk is found again. */
import { closeSync, mkdirSync, openSync, readdirSync, rmSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { encodeJsonAny, typeUrls } from '@boxship/api';
import { chainId, type Descriptor, digestOf, mediaTypes } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalContainerd } from '../src/containerd.ts';
import { openContainerd, type TestContainerd } from './harness.ts';
import { putBlob } from './put-blob.ts';

let subject: TestContainerd;
beforeEach(async () => {
  subject = await openContainerd();
});
afterEach(() => subject[Symbol.asyncDispose]());

const spec = { ociVersion: '1.1.0', hostname: 'found' };
const snapshotter = 'overlayfs';

/** An unpacked image `app` with a container `box` over it. */
async function fill(client: LocalContainerd): Promise<{ manifest: string; layer: string; chain: string }> {
  await client.leases.create({ id: 'l', labels: {} });
  const put = async (value: unknown, labels: { [key: string]: string } = {}, mediaType = ''): Promise<Descriptor> => {
    const data = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
    return { mediaType, digest: await putBlob(client, data, { labels, lease: 'l' }), size: data.length } as Descriptor;
  };
  const layer = await put('layer', {}, mediaTypes.ociLayer);
  const chain = chainId([digestOf('layer')]) ?? '';
  const config = await put(
    { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [digestOf('layer')] } },
    { [`containerd.io/gc.ref.snapshot.${snapshotter}`]: chain },
    mediaTypes.ociConfig,
  );
  const manifest = await put(
    { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] },
    { 'containerd.io/gc.ref.content.config': config.digest, 'containerd.io/gc.ref.content.l.0': layer.digest },
    mediaTypes.ociManifest,
  );
  await client.snapshots.prepare({ snapshotter, key: 'extract', parent: '' }, { lease: 'l' });
  await client.snapshots.commit({ snapshotter, key: 'extract', name: chain }, { lease: 'l' });
  await client.snapshots.prepare({ snapshotter, key: 'box', parent: chain }, { lease: 'l' });
  const target = { ...manifest, size: BigInt(manifest.size), annotations: {} };
  await client.images.create({
    image: { name: 'app', labels: { a: 'b' }, target, createdAt: undefined, updatedAt: undefined },
  });
  await client.containers.create({
    container: {
      id: 'box',
      labels: { kept: 'yes' },
      image: 'app',
      runtime: { name: 'io.containerd.runc.v2', options: undefined },
      spec: encodeJsonAny(typeUrls.spec, spec),
      snapshotter,
      snapshotKey: 'box',
      createdAt: undefined,
      updatedAt: undefined,
      extensions: {},
      sandbox: '',
    },
  });
  await client.leases.delete({ id: 'l', sync: true });
  return { manifest: manifest.digest, layer: layer.digest, chain };
}

const rootOf = (): string => join(subject.directory, 'root');

function overwrite(path: string, at: number, bytes: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.alloc(bytes), 0, bytes, at);
  closeSync(fd);
}

const everything = async (client: LocalContainerd) => ({
  images: (await client.images.list()).images.map(({ name, target }) => [name, target?.digest]),
  containers: (await client.containers.list()).containers.map(({ id, labels, snapshotKey }) => [
    id,
    labels,
    snapshotKey,
  ]),
  content: (await Array.fromAsync(client.content.list())).flatMap(({ info }) =>
    info.map(({ digest, labels }) => [digest, labels]),
  ),
  snapshots: (await Array.fromAsync(client.snapshots.list({ snapshotter }))).flatMap(({ info }) =>
    info.map(({ name, parent, kind }) => [name, parent, kind]),
  ),
});

describe('a metadata database that is lost', () => {
  it.each([
    ['its first page is overwritten', (path: string) => overwrite(path, 0, 4096)],
    ['it is cut', (path: string) => truncateSync(path, 5000)],
    ['a page in it is overwritten', (path: string) => overwrite(path, 4096, 8192)],
    ['it is another file', (path: string) => writeFileSync(path, 'no database')],
    ['it is gone', (path: string) => rmSync(path)],
  ])('comes back whole from the journal: %s', async (_how, damage) => {
    await fill(subject.containerd.client('one'));
    const before = await everything(subject.containerd.client('one'));
    await subject.close();
    for (const name of readdirSync(rootOf())) if (name.startsWith('meta.db-')) rmSync(join(rootOf(), name));
    damage(join(rootOf(), 'meta.db'));
    const client = (await subject.reopen()).client('one');
    expect(await everything(client)).toEqual(before);
    expect(before.images).toHaveLength(1);
    // names below are not given twice
    await client.snapshots.prepare({ snapshotter, key: 'next', parent: '' });
    await client.leases.create({ id: 'tick', labels: {} });
    await client.leases.delete({ id: 'tick', sync: true });
    expect((await everything(client)).content).toEqual(before.content);
  });

  it('is found in content, snapshots and bundles when the journal is lost, too', async () => {
    const made = await fill(subject.containerd.client('one'));
    const bundle = join(subject.directory, 'state/io.containerd.runtime.v2.task/one/box');
    await subject.close();
    mkdirSync(dirname(bundle), { recursive: true });
    mkdirSync(bundle);
    writeFileSync(join(bundle, 'config.json'), JSON.stringify(spec));
    for (const name of readdirSync(rootOf())) if (name.startsWith('meta.')) rmSync(join(rootOf(), name));
    writeFileSync(join(rootOf(), 'meta.db'), 'no database');
    const client = (await subject.reopen()).client('one');
    const found = await everything(client);
    expect(found.images).toEqual([[`docker.io/library/untagged@${made.manifest}`, made.manifest]]);
    expect(found.containers).toEqual([['box', {}, 'box']]);
    const { container } = await client.containers.get({ id: 'box' });
    expect(JSON.parse(Buffer.from(container?.spec?.value ?? []).toString())).toEqual(spec);
    expect(found.snapshots.map(([name, parent]) => [name, parent])).toEqual([
      ['box', made.chain],
      [made.chain, ''],
    ]);
    expect(found.content).toHaveLength(3);
    // nothing of it is garbage, with the lease that holds it and, for the image, without
    await client.leases.delete({ id: 'boxship-recovered', sync: true });
    expect((await everything(client)).content).toHaveLength(3);
    expect((await everything(client)).snapshots).toHaveLength(2);
    expect(readdirSync(rootOf()).filter((name) => name.includes('.corrupt-'))).not.toEqual([]);
  });

  it('is refused when a newer release has written it', async () => {
    await subject.close();
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(join(rootOf(), 'meta.db'));
    database.exec('PRAGMA user_version = 99');
    database.close();
    await expect(subject.reopen()).rejects.toMatchObject({ kind: 'failedPrecondition' });
    const again = new DatabaseSync(join(rootOf(), 'meta.db'));
    again.exec('PRAGMA user_version = 2');
    again.close();
    await subject.reopen();
  });
});
