/**
 * The program that is traced: one containerd in this process, used the way a pull, a build and a removal use it. Arguments: the
 * directory to work in. Each step is announced before and acknowledged after.
 */
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { content as contentWire, encodeAny, encodeJsonAny, transferTypes, typeUrls } from '@boxship/api';
import { digestOf } from '@boxship/oci';
import { Containerd } from '../../src/containerd.ts';
import type { Announcement } from './facts.ts';
import { serveOneImage } from './one-image-registry.ts';

const directory = process.argv[2] ?? '';
const said = openSync(join(directory, 'acknowledgements'), 'a');
const say = (is: Announcement['is'], facts: Announcement['facts']) =>
  writeSync(said, `${JSON.stringify({ is, facts } satisfies Announcement)}\n`);

async function step(facts: Announcement['facts'], work: () => Promise<unknown>): Promise<void> {
  say('begun', facts);
  await work();
  say('done', facts);
}

await using containerd = await Containerd.open({
  root: join(directory, 'root'),
  state: join(directory, 'state'),
  address: join(directory, 'c.sock'),
  shim: '/none',
});
const client = containerd.client('crash');
const { STAT, WRITE, COMMIT } = contentWire.WriteAction;

const bytesOf = (name: string, size: number): Buffer => Buffer.alloc(size, `${name} `);
const root = { 'containerd.io/gc.root': 'yes' };

async function put(
  data: Buffer,
  labels: { [key: string]: string },
  options: { isCut?: boolean } = {},
): Promise<string> {
  const digest = digestOf(data);
  const work = async () => {
    const stream = client.content.write();
    const answers = stream[Symbol.asyncIterator]();
    const total = BigInt(data.length);
    await stream.send({ action: STAT, ref: `ref-${digest}`, total, expected: digest });
    let offset = Number((await answers.next()).value?.offset ?? 0n);
    for (; offset < data.length; offset += 3000) {
      await stream.send({ action: WRITE, offset: BigInt(offset), data: data.subarray(offset, offset + 3000) });
      await answers.next();
      if (!options.isCut) continue;
      stream.end();
      for (let isOver = false; !isOver; ) isOver = (await answers.next()).done === true;
      return;
    }
    await stream.send({ action: COMMIT, offset: BigInt(offset), total, expected: digest, labels });
    await answers.next();
  };
  if (options.isCut) await work();
  else await step({ [`blob ${digest}`]: JSON.stringify(labels) }, work);
  return digest;
}

const image = (name: string, digest: string) => ({
  image: {
    name,
    labels: {},
    target: { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest, size: 1n, annotations: {} },
    createdAt: undefined,
    updatedAt: undefined,
  },
});
const snapshotter = 'overlayfs';

/** Where the layer's files go: the source of a bind, the upper directory of an overlay. */
function writeLayer(mounts: readonly { type: string; source: string; options: string[] }[], text: string): void {
  const [mount] = mounts;
  const upper = mount?.options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length);
  writeFileSync(join(upper ?? mount?.source ?? '', 'file'), text);
}

/** A layer of an image may be gone after a cut, until something stands on it, but it is never there in part. */
async function layer(name: string, parent: string, isOfImage = true): Promise<void> {
  const orGone = <T>(value: T) => (isOfImage ? ([value, null] as const) : value);
  const ofImage: { [label: string]: string } = isOfImage ? { 'containerd.io/snapshot.ref': name } : {};
  let mounts: Parameters<typeof writeLayer>[0] = [];
  await step({ [`snapshot ${name}-key`]: orGone('active') }, async () => {
    const labels = { ...root, ...ofImage };
    ({ mounts } = await client.snapshots.prepare({ snapshotter, key: `${name}-key`, parent, labels }));
  });
  writeLayer(mounts, name);
  await step({ [`snapshot ${name}-key`]: null, [`snapshot ${name}`]: orGone(`committed ${name}`) }, () =>
    client.snapshots.commit({ snapshotter, key: `${name}-key`, name, labels: root }),
  );
}

/** An image that is recorded is whole; its unpacked tree may go with the power. */
async function pull(name: string, layerBytes: number): Promise<void> {
  await using registry = await serveOneImage(layerBytes);
  const { OCIRegistry, ImageStore } = transferTypes;
  const any = 'containerd.types.transfer';
  const source = OCIRegistry.fromPartial({ reference: registry.reference });
  const destination = ImageStore.fromPartial({ name, unpacks: [{ snapshotter }] });
  await step({ [`image ${name}`]: registry.manifest, [`whole ${name}`]: 'whole' }, () =>
    client.transfer.transfer({
      source: encodeAny(`${any}.OCIRegistry`, OCIRegistry, source),
      destination: encodeAny(`${any}.ImageStore`, ImageStore, destination),
      options: undefined,
    }),
  );
}

await step({ 'lease work': 'here' }, () => client.leases.create({ id: 'work', labels: {} }));
for (let round = 0; round < 2; round++) {
  const name = `r${round}`;
  const cut = bytesOf(`${name} cut`, 7000);
  await put(cut, root, { isCut: true });
  const [layerDigest] = await Promise.all([
    put(bytesOf(`${name} layer`, 9000), root),
    put(bytesOf(`${name} config`, 700), root),
  ]);
  const manifest = await put(bytesOf(`${name} manifest`, 300), {
    'containerd.io/gc.ref.content.l.0': layerDigest,
    ...root,
  });
  await step({ [`image ${name}`]: manifest }, () => client.images.create(image(name, manifest)));
  await put(cut, root); // resumed
  await pull(`${name}-pulled`, 1024 * (round + 1));
  await layer(`${name}-one`, '');
  await layer(`${name}-two`, `${name}-one`);
  const stands = Object.fromEntries(['one', 'two'].map((of) => [`snapshot ${name}-${of}`, `committed ${name}-${of}`]));
  await step({ [`snapshot ${name}-box`]: 'active', ...stands }, () =>
    client.snapshots.prepare({ snapshotter, key: `${name}-box`, parent: `${name}-two`, labels: root }),
  );
  await layer(`${name}-plain`, `${name}-two`, false);
  const container = {
    id: `${name}-box`,
    labels: {},
    image: name,
    runtime: { name: 'io.containerd.runc.v2', options: undefined },
    spec: encodeJsonAny(typeUrls.spec, { ociVersion: '1.1.0' }),
    snapshotter,
    snapshotKey: `${name}-box`,
    createdAt: undefined,
    updatedAt: undefined,
    extensions: {},
    sandbox: '',
  };
  await step({ [`container ${name}-box`]: name }, () => client.containers.create({ container }));
  await step({ [`image ${name}`]: layerDigest }, () =>
    client.images.update({ ...image(name, layerDigest), updateMask: ['target'] }),
  );
  const labels = { 'a/b': name };
  await step({ [`blob ${layerDigest}`]: JSON.stringify({ ...root, ...labels }) }, () =>
    client.content.update({
      info: { digest: layerDigest, size: 0n, createdAt: undefined, updatedAt: undefined, labels },
      updateMask: ['labels.a/b'],
    }),
  );
  if (round === 0) continue;
  // the round before goes again, with a collection
  const old = `r${round - 1}`;
  const gone = digestOf(bytesOf(`${old} config`, 700));
  await step({ [`container ${old}-box`]: null }, () => client.containers.delete({ id: `${old}-box` }));
  await step({ [`snapshot ${old}-box`]: null }, () => client.snapshots.remove({ snapshotter, key: `${old}-box` }));
  await step({ [`snapshot ${old}-plain`]: null }, () => client.snapshots.remove({ snapshotter, key: `${old}-plain` }));
  await step({ [`snapshot ${old}-two`]: null }, () => client.snapshots.remove({ snapshotter, key: `${old}-two` }));
  await step({ [`blob ${gone}`]: null }, () => client.content.delete({ digest: gone }));
  await step({ [`image ${old}-pulled`]: null, [`whole ${old}-pulled`]: null }, () =>
    client.images.delete({ name: `${old}-pulled`, sync: false }),
  );
  await step({ [`image ${old}`]: null }, () => client.images.delete({ name: old, sync: true }));
}
await step({ 'lease work': null }, () => client.leases.delete({ id: 'work', sync: true }));
