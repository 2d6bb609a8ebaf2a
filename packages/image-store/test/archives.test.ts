/** Saving, loading and importing, with skopeo, umoci and GNU tar on the other side. */
import { execFileSync } from 'node:child_process';
import {
  createReadStream,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { chainIds, digestHex, digestOf, parsePlatform } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  exportImages,
  type ImportedImage,
  importImages,
  importRoot,
  LocalApplier,
  labelKeys,
  MemoryContentStore,
  OverlaySnapshotter,
  platformImage,
  readImageConfig,
  readManifest,
  unpackTarget,
  withMounts,
} from '../src/index.ts';
import { hasRegistry } from './support/docker-registry.ts';
import { makeLayout, skopeo } from './support/images.ts';

const amd64 = { os: 'linux', architecture: 'amd64' };
const arm64 = { os: 'linux', architecture: 'arm64' };

async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}
const once = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
};

describe.skipIf(!hasRegistry || process.getuid?.() !== 0)('image archives', () => {
  let root: string;
  let content: MemoryContentStore;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'archives-'));
    content = new MemoryContentStore();
  });
  afterEach(() => rmSync(root, { recursive: true, force: true }));
  const layoutTar = (path: string): Buffer => execFileSync('tar', ['-cf', '-', '-C', path, '.'], { maxBuffer: 1e9 });
  const load = (bytes: Uint8Array) => importImages({ content, source: once(bytes) });
  const save = (extra = {}) =>
    importImages({ content, source: once(layoutTar(layoutPath)) }).then(([image]) =>
      collect(
        exportImages({
          content,
          images: [
            { target: (image as ImportedImage).target, names: ['docker.io/library/a:1', 'localhost:5000/b/c:2'] },
          ],
          ...extra,
        }),
      ),
    );
  let layoutPath: string;
  const withLayout = async (work: () => Promise<void>): Promise<void> => {
    using layout = makeLayout([
      {
        platform: amd64,
        layers: [
          { 'etc/os': 'one', f: 'x' },
          { '.wh.f': '', 'etc/os': 'two' },
        ],
      },
      { platform: arm64, layers: [{ arm: 'x' }] },
    ]);
    layoutPath = layout.path;
    await work();
  };

  it('reads what it wrote, byte for byte', () =>
    withLayout(async () => {
      const first = await save();
      const names = await load(first);
      expect(names.map(({ name }) => name)).toEqual(['docker.io/library/a:1', 'localhost:5000/b/c:2']);
      const again = await collect(
        exportImages({
          content,
          images: [{ target: names[0]?.target as never, names: names.map(({ name }) => name ?? '') }],
        }),
      );
      expect(again.equals(first)).toBe(true);
    }));

  it('writes what skopeo and umoci read', () =>
    withLayout(async () => {
      writeFileSync(join(root, 'whole.tar'), await save());
      await skopeo('copy', '--all', `oci-archive:${root}/whole.tar:1`, `oci:${root}/from-oci:t`);
      writeFileSync(join(root, 'one.tar'), await save({ platform: parsePlatform('linux/amd64') }));
      await skopeo('copy', `docker-archive:${root}/one.tar:a:1`, `oci:${root}/from-docker:t`);
      execFileSync('umoci', ['unpack', '--image', `${root}/from-docker:t`, join(root, 'bundle')], { stdio: 'pipe' });
      expect(readFileSync(join(root, 'bundle/rootfs/etc/os'), 'utf8')).toBe('two');
      expect(existsSync(join(root, 'bundle/rootfs/f'))).toBe(false);
      const listing = execFileSync('tar', ['-tf', join(root, 'one.tar')]).toString();
      expect(listing).toContain('manifest.json');
      expect(
        JSON.parse(execFileSync('tar', ['-xOf', join(root, 'one.tar'), 'manifest.json']).toString())[0],
      ).toMatchObject({ RepoTags: ['a:1', 'localhost:5000/b/c:2'] });
    }));

  it('loads what skopeo wrote for older engines, and unpacks it', () =>
    withLayout(async () => {
      await skopeo(
        'copy',
        `oci:${layoutPath}:t`,
        `docker-archive:${root}/docker.tar:some/name:v1`,
        '--override-os=linux',
        '--override-arch=amd64',
      );
      const images = await importImages({ content, source: createReadStream(join(root, 'docker.tar')) });
      expect(images.map(({ name }) => name)).toEqual(['docker.io/some/name:v1']);
      const snapshotter = new OverlaySnapshotter({ root: join(root, 'snapshots'), isDurable: false });
      const top = await unpackTarget({
        content,
        snapshotter,
        snapshotterName: 'overlayfs',
        applier: new LocalApplier(content),
        target: images[0]?.target as never,
      });
      await withMounts(await snapshotter.view('v', top as string), async (path) =>
        expect(readFileSync(join(path, 'etc/os'), 'utf8')).toBe('two'),
      );
      await snapshotter.close();
    }));

  it('follows links between equal layers, and takes compressed ones', async () => {
    const layer = Buffer.alloc(1024);
    const config = JSON.stringify({
      ...amd64,
      rootfs: { type: 'layers', diff_ids: [digestOf(layer), digestOf(layer)] },
    });
    const source = join(root, 'old');
    mkdirSync(join(source, 'a'), { recursive: true });
    mkdirSync(join(source, 'b'));
    writeFileSync(join(source, 'a/layer.tar'), gzipSync(layer));
    symlinkSync('../a/layer.tar', join(source, 'b/layer.tar'));
    writeFileSync(join(source, 'config.json'), config);
    writeFileSync(
      join(source, 'manifest.json'),
      JSON.stringify([{ Config: 'config.json', RepoTags: null, Layers: ['a/layer.tar', 'b/layer.tar'] }]),
    );
    const [image] = await load(layoutTar(source));
    expect(image?.name).toBeUndefined();
    const manifest = await readManifest(content, image?.target as never);
    expect(manifest.kind === 'manifest' && manifest.layers.map(({ mediaType }) => mediaType)).toEqual(
      Array(2).fill('application/vnd.docker.image.rootfs.diff.tar.gzip'),
    );
  });

  it.each([
    ['no image archive', { x: 'y' }, 'unrecognized image format'],
    ['a null manifest', { 'manifest.json': 'null' }, 'expected a list'],
    ['a missing file', { 'manifest.json': '[{"Config":"c.json","Layers":[]}]' }, 'no file "c.json"'],
    [
      'too few layers',
      {
        'c.json': `{"rootfs":{"diff_ids":["${digestOf('x')}"]}}`,
        'manifest.json': '[{"Config":"c.json","Layers":[]}]',
      },
      'layers length mismatch: expected 1, got 0',
    ],
    [
      'a wrong layer',
      {
        l: 'tar',
        'c.json': `{"rootfs":{"diff_ids":["${digestOf('x')}"]}}`,
        'manifest.json': '[{"Config":"c.json","Layers":["l"]}]',
      },
      'invalid diffID for layer 0',
    ],
    [
      'a lying blob',
      { [`blobs/sha256/${digestHex(digestOf('x'))}`]: 'y', 'index.json': '{"manifests":[]}' },
      'does not have the digest in its name',
    ],
    [
      'a digest that is a path',
      { 'index.json': '{"manifests":[{"mediaType":"m","size":1,"digest":"sha256:../../x"}]}' },
      'digest',
    ],
    ['broken JSON', { 'index.json': '{' }, 'not valid JSON'],
  ])('refuses %s', async (_, files, message) => {
    const source = join(root, 'bad');
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(join(source, name, '..'), { recursive: true });
      writeFileSync(join(source, name), text);
    }
    await expect(load(layoutTar(source))).rejects.toMatchObject({
      kind: 'invalidArgument',
      message: expect.stringContaining(message),
    });
  });

  it('labels what it loaded, so that collection keeps it', () =>
    withLayout(async () => {
      const [image] = await load(layoutTar(layoutPath));
      const { descriptor, manifest } = await platformImage(content, image?.target as never, amd64);
      expect((await content.info(image?.target.digest as never)).labels).toMatchObject({
        [`${labelKeys.gcRefContent}.m.0`]: descriptor.digest,
      });
      expect((await content.info(descriptor.digest)).labels).toMatchObject({
        [`${labelKeys.gcRefContent}.config`]: manifest.config.digest,
      });
    }));

  it('makes an image of a tree', async () => {
    const source = join(root, 'tree');
    mkdirSync(join(source, 'bin'), { recursive: true });
    writeFileSync(join(source, 'bin/x'), 'x');
    const tar = layoutTar(source);
    const imported = await importRoot({
      content,
      source: once(gzipSync(tar)),
      config: { Cmd: ['x'] },
      comment: 'mine',
    });
    expect(imported.imageConfig.rootfs.diff_ids).toEqual([digestOf(tar)]);
    expect(await readImageConfig(content, imported.config)).toMatchObject({
      config: { Cmd: ['x'] },
      history: [{ comment: 'mine' }],
    });
    const snapshotter = new OverlaySnapshotter({ root: join(root, 'snapshots'), isDurable: false });
    const top = await unpackTarget({
      content,
      snapshotter,
      snapshotterName: 'overlayfs',
      applier: new LocalApplier(content),
      target: imported.target,
    });
    expect(top).toBe(chainIds(imported.imageConfig.rootfs.diff_ids)[0]);
    await snapshotter.close();
    await expect(importRoot({ content, source: once(Buffer.alloc(0)) })).rejects.toMatchObject({
      kind: 'invalidArgument',
    });
  });
});
