/** The Transfer service in every direction, as clients of containerd 2 use it: registry, store, archive, further names. */
import { readFileSync, writeFileSync } from 'node:fs';
import { type Any, decodeAny, encodeAny, streaming, transferTypes as types } from '@boxship/api';
import { type ContainerdClient, connect } from '@boxship/containerd-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { startRegistry } from '../harness/peers.ts';
import { SandboxHost } from '../harness/sandbox-host.ts';
import { makeTestImage, pushTestImage, type TestImage } from '../harness/test-image.ts';

let host: SandboxHost;
let image: TestImage;
let client: ContainerdClient;
let other: ContainerdClient;
const box = '127.0.0.1:5000/box:1';

beforeAll(async () => {
  host = new SandboxHost();
  const socket = host.path('c.sock');
  const args = ['--root', host.path('root'), '--state', host.path('state'), '--address', socket, '--shim', '/none'];
  host.start('containerd', process.execPath, ['--no-warnings', programPath('boxship-containerd'), ...args]);
  await Promise.all([host.listening(socket), startRegistry(host)]);
  image = makeTestImage(host);
  await pushTestImage(host, image, box);
  client = connect(socket, { namespace: 'one' });
  other = connect(socket, { namespace: 'two' });
});
afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
});

const name = (kind: string): string => `containerd.types.transfer.${kind}`;
const store = (fields: types.DeepPartial<types.ImageStore>): Any =>
  encodeAny(name('ImageStore'), types.ImageStore, types.ImageStore.fromPartial(fields));
const registry = (reference: string): Any =>
  encodeAny(name('OCIRegistry'), types.OCIRegistry, types.OCIRegistry.fromPartial({ reference }));
const transfer = (to: ContainerdClient, source: Any, destination: Any): Promise<unknown> =>
  to.transfer.transfer({ source, destination, options: { progressStream: '' } }, { timeoutMs: 60_000 });

/** A stream as a client opens it, with its first message answered. */
async function openStream(to: ContainerdClient, id: string) {
  const stream = to.streaming.stream({ timeoutMs: 60_000 });
  const messages = stream[Symbol.asyncIterator]();
  await stream.send(encodeAny('containerd.services.streaming.v1.StreamInit', streaming.StreamInit, { id }));
  await messages.next();
  return { stream, messages };
}
const grant = (update: number): Any => encodeAny(name('WindowUpdate'), types.WindowUpdate, { update });

async function exportTo(path: string, source: string, fields: object = {}): Promise<Buffer> {
  const { stream, messages } = await openStream(client, `export-${path}`);
  const wanted = types.ImageExportStream.fromPartial({ stream: `export-${path}`, ...fields });
  const moving = transfer(
    client,
    store({ name: source }),
    encodeAny(name('ImageExportStream'), types.ImageExportStream, wanted),
  );
  const pieces: Buffer[] = [];
  await stream.send(grant(50_000));
  for (;;) {
    const next = await messages.next();
    if (next.done === true) break;
    const decoded = decodeAny(next.value);
    const { data } = (decoded.kind === 'message' ? decoded.value : undefined) as types.Data;
    expect(data.length).toBeLessThanOrEqual(32 * 1024);
    pieces.push(data);
    await stream.send(grant(data.length));
  }
  await moving;
  stream.end();
  writeFileSync(path, Buffer.concat(pieces));
  return Buffer.concat(pieces);
}

async function importFrom(path: string, fields: types.DeepPartial<types.ImageStore>): Promise<void> {
  const { stream, messages } = await openStream(other, `import-${path}`);
  const source = types.ImageImportStream.fromPartial({ stream: `import-${path}` });
  const moving = transfer(other, encodeAny(name('ImageImportStream'), types.ImageImportStream, source), store(fields));
  const bytes = readFileSync(path);
  let window = 0;
  for (let at = 0; at < bytes.length; ) {
    while (window <= 0) {
      const decoded = decodeAny((await messages.next()).value as Any);
      window += ((decoded.kind === 'message' ? decoded.value : undefined) as types.WindowUpdate).update;
    }
    const data = bytes.subarray(at, at + Math.min(32 * 1024, window));
    await stream.send(encodeAny(name('Data'), types.Data, { data }));
    at += data.length;
    window -= data.length;
  }
  stream.end();
  await moving;
}

describe('transfer', () => {
  it('pulls, gives further names, pushes', async () => {
    const unpacks = [{ snapshotter: 'overlayfs' }];
    await transfer(client, registry(box), store({ name: box, allMetadata: true, unpacks }));
    await transfer(client, store({ name: box }), store({ name: '127.0.0.1:5000/again:2', labels: { a: 'b' } }));
    const { image: tagged } = await client.images.get({ name: '127.0.0.1:5000/again:2' });
    expect([tagged?.target?.digest, tagged?.labels]).toEqual([image.index.digest, { a: 'b' }]);
    await transfer(client, store({ name: '127.0.0.1:5000/again:2' }), registry('127.0.0.1:5000/again:2'));
    const inspect = ['inspect', '--raw', '--tls-verify=false'];
    expect(await host.must('skopeo', [...inspect, 'docker://127.0.0.1:5000/again:2'])).toBe(
      await host.must('skopeo', [...inspect, `docker://${box}`]),
    );
    await expect(transfer(client, store({ name: 'none:1' }), registry('127.0.0.1:5000/none:1'))).rejects.toMatchObject({
      kind: 'notFound',
    });
    await expect(transfer(client, registry(box), registry(box))).rejects.toMatchObject({ kind: 'unimplemented' });
  });

  it('exports an archive that others read, the same bytes each time, and imports it', async () => {
    const path = host.path('box.tar');
    const bytes = await exportTo(path, box, { allPlatforms: true });
    expect((await exportTo(host.path('box2.tar'), box, { allPlatforms: true })).equals(bytes)).toBe(true);
    const copied = host.path('copied');
    const copy = ['copy', '--insecure-policy', '--all', '--preserve-digests'];
    await host.must('skopeo', [...copy, `oci-archive:${path}`, `oci:${copied}:t`]);
    expect(readFileSync(`${copied}/index.json`, 'utf8')).toContain(image.index.digest);
    await importFrom(path, {
      extraReferences: [{ name: 'imported/box', isPrefix: true, addDigest: true }],
      unpacks: [{}],
    });
    const { images } = await other.images.list();
    expect(images.map((one) => [one.name, one.target?.digest])).toEqual([
      [box, image.index.digest],
      [`imported/box@${image.index.digest}`, image.index.digest],
    ]);
    const snapshots = await Array.fromAsync(other.snapshots.list({ snapshotter: 'overlayfs' }));
    expect(snapshots.flatMap(({ info }) => info)).toHaveLength(2);
    expect((await other.leases.list()).leases).toEqual([]);
  });

  it('carries images between registry, archives and layouts with equal digests', async () => {
    // one platform: docker-archive holds no index
    const single = await exportTo(host.path('single.tar'), box);
    expect(single.length).toBeGreaterThan(0);
    const copy = ['copy', '--insecure-policy', '--preserve-digests', '--dest-tls-verify=false'];
    await host.must('skopeo', [...copy, `oci-archive:${host.path('single.tar')}`, 'docker://127.0.0.1:5000/single:1']);
    const raw = await host.must('skopeo', [
      'inspect',
      '--raw',
      '--tls-verify=false',
      'docker://127.0.0.1:5000/single:1',
    ]);
    expect(JSON.parse(raw)).toMatchObject({
      config: { digest: image.config.digest },
      layers: image.layers.map(({ digest }) => ({ digest })),
    });
    const config = ['inspect', '--config', '--raw'];
    expect(await host.must('skopeo', [...config, `docker-archive:${host.path('single.tar')}`])).toBe(
      await host.must('skopeo', [...config, '--tls-verify=false', `docker://${box}`]),
    );
  });
});
