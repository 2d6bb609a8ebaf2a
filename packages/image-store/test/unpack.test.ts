/** Unpacking: what goes wrong, what happens twice at once, and what a killed process leaves. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { encodeEntry, newEntry, tarEnd, tarPadding } from '@boxship/archive';
import { poll } from '@boxship/base';
import { chainIds, type Descriptor, type Digest, digestOf, type ImageConfig, mediaTypes } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  configureHosts,
  FsContentStore,
  LocalApplier,
  MemoryContentStore,
  MemoryImageStore,
  OverlaySnapshotter,
  pull,
  Registry,
  unpack,
  withMounts,
  writeBlob,
} from '../src/index.ts';
import { hasRegistry, startRegistry } from './support/docker-registry.ts';
import { faultyProxy } from './support/faulty-proxy.ts';
import { makeLayout, upload } from './support/images.ts';

const isRoot = process.getuid?.() === 0;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'unpack-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const layerOf = (name: string): Buffer =>
  Buffer.concat([encodeEntry(newEntry({ name, type: 'file', size: 1 })), Buffer.from('x'), tarPadding(1), tarEnd]);

describe.skipIf(!isRoot)('unpack', () => {
  let content: MemoryContentStore;
  let snapshotter: OverlaySnapshotter;
  let config: Descriptor;
  beforeEach(async () => {
    content = new MemoryContentStore();
    snapshotter = new OverlaySnapshotter({ root, isDurable: false });
    config = await writeBlob(content, Buffer.from('{}'), { ref: 'config', mediaType: mediaTypes.ociConfig });
  });
  afterEach(() => snapshotter.close());

  const image = async (names: readonly string[], diffIds?: readonly Digest[]) => {
    const plain = names.map(layerOf);
    const layers: Descriptor[] = [];
    for (const bytes of plain)
      layers.push(
        await writeBlob(content, gzipSync(bytes), { ref: `l${layers.length}`, mediaType: mediaTypes.ociLayerGzip }),
      );
    const imageConfig: ImageConfig = {
      os: 'linux',
      architecture: 'amd64',
      rootfs: { type: 'layers', diff_ids: diffIds ?? plain.map((bytes) => digestOf(bytes)) },
    };
    return {
      content,
      snapshotter,
      snapshotterName: 'overlayfs',
      applier: new LocalApplier(content),
      config,
      imageConfig,
      layers,
    };
  };
  const names = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of snapshotter.list()) found.push(name);
    return found;
  };

  it('leaves nothing of a layer that is not what the configuration says', async () => {
    const options = await image(['a', 'b'], [digestOf(layerOf('a')), digestOf('something else')]);
    await expect(unpack(options)).rejects.toMatchObject({
      kind: 'dataLoss',
      message: expect.stringContaining('wrong diff id calculated on extraction'),
    });
    expect(await names()).toEqual([digestOf(layerOf('a'))]);
  });

  it('refuses an image whose layers do not fit its configuration', async () => {
    await expect(unpack(await image(['a'], []))).rejects.toMatchObject({
      kind: 'invalidArgument',
      message: "layers from manifest don't match image configuration",
    });
    const artifact = await image(['a']);
    const layers = artifact.layers.map((layer) => ({
      ...layer,
      mediaType: 'application/vnd.cncf.helm.chart.content.v1.tar+gzip',
    }));
    await expect(unpack({ ...artifact, layers })).rejects.toMatchObject({ kind: 'unimplemented' });
  });

  it('takes an image without layers', async () => {
    expect(await unpack(await image([]))).toBeUndefined();
  });

  it('goes on above what is there', async () => {
    await unpack(await image(['a', 'b']));
    const states: string[] = [];
    const longer = await image(['a', 'b', 'c']);
    expect(await unpack({ ...longer, onLayer: (index, state) => states.push(`${index} ${state}`) })).toBe(
      chainIds(longer.imageConfig.rootfs.diff_ids)[2],
    );
    expect(states).toEqual(expect.arrayContaining(['0 exists', '1 exists', '2 extracting', '2 complete']));
    expect(states).not.toContain('0 extracting');
  });

  it('gives the same snapshots to all who unpack at once', async () => {
    const options = await image(['a', 'b', 'c']);
    const tops = await Promise.all([unpack(options), unpack(options), unpack(options)]);
    expect(new Set(tops).size).toBe(1);
    expect((await names()).sort()).toEqual([...chainIds(options.imageConfig.rootfs.diff_ids)].sort());
    await withMounts(await snapshotter.view('v', tops[0] as string), async (path) =>
      expect(readdirSync(path).sort()).toEqual(['a', 'b', 'c']),
    );
  });

  it('undoes a layer that was cancelled', async () => {
    const controller = new AbortController();
    const options = await image(['a']);
    const cancelled = unpack({
      ...options,
      signal: controller.signal,
      onLayer: () => controller.abort(new Error('enough')),
    });
    await expect(cancelled).rejects.toThrow('enough');
    expect(await names()).toEqual([]);
    await unpack(options);
  });
});

describe.skipIf(!isRoot || !hasRegistry)('a pull that is killed', () => {
  it('is finished by the next one, without fetching everything again', async () => {
    await using origin = await startRegistry();
    using layout = makeLayout(
      [
        {
          platform: { os: 'linux', architecture: 'amd64' },
          layers: [{ one: randomBytes(3_000_000) }, { two: randomBytes(3_000_000) }],
        },
      ],
      { isSingle: true },
    );
    await upload(layout, origin.host, 'big:1');
    let bytesServed = 0;
    // Serves half of each layer, then nothing more, so that the child is in the middle when it dies.
    await using slow = await faultyProxy(origin.host, ({ path, method }) =>
      method === 'GET' && path.includes('/blobs/') && !path.includes('config') ? { cutAfter: 1_500_000 } : undefined,
    );
    const source = JSON.stringify(join(import.meta.dirname, '../src/index.ts'));
    const script = `
      import { FsContentStore, LocalApplier, MemoryImageStore, OverlaySnapshotter, pull, Registry } from ${source};
      const content = new FsContentStore({ root: ${JSON.stringify(join(root, 'content'))} });
      const snapshotter = new OverlaySnapshotter({ root: ${JSON.stringify(join(root, 'snapshots'))} });
      await pull({ reference: ${JSON.stringify(`${slow.host}/big:1`)}, registry: new Registry(), content, images: new MemoryImageStore(),
        unpack: { snapshotter, snapshotterName: 'overlayfs', applier: new LocalApplier(content) },
        onProgress: (event) => event.kind === 'retrying' && process.kill(process.pid, 'SIGKILL') });`;
    const child = spawn(
      process.execPath,
      ['--conditions=@boxship/source', '--no-warnings', '--input-type=module', '-e', script],
      { stdio: 'ignore' },
    );
    const signal = await new Promise((resolve) => child.once('exit', (_, killed) => resolve(killed)));
    expect(signal).toBe('SIGKILL');
    const content = new FsContentStore({
      root: join(root, 'content'),
      labels: { get: () => undefined, set() {}, delete() {}, close() {} },
    });
    const snapshotter = new OverlaySnapshotter({ root: join(root, 'snapshots') });
    await using counting = await faultyProxy(origin.host, ({ headers, path }) => {
      if (path.includes('/blobs/'))
        bytesServed += headers.range === undefined ? 3_000_000 : 3_000_000 - Number(/\d+/.exec(headers.range)?.[0]);
      return undefined;
    });
    // The ref of a layer is its digest, whatever host it comes from.
    const { config } = await pull({
      reference: `${counting.host}/big:1`,
      registry: new Registry({ hosts: configureHosts() }),
      content,
      images: new MemoryImageStore(),
      unpack: { snapshotter, snapshotterName: 'overlayfs', applier: new LocalApplier(content) },
    });
    expect(bytesServed).toBeLessThan(8_000_000);
    const top = chainIds(config.rootfs.diff_ids).at(-1) as string;
    await withMounts(await snapshotter.view('v', top), async (path) =>
      expect(readFileSync(join(path, 'two')).length).toBe(3_000_000),
    );
    expect(
      await poll({ everyMs: 20, timeoutMs: 5000 }, () =>
        readdirSync(join(root, 'content/ingest')).length === 0 ? true : undefined,
      ),
    ).toBe(true);
    await snapshotter.close();
  });
});
