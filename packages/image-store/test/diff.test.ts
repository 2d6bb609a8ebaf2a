/** Layers from trees and trees from layers, over both snapshotters, with GNU tar as the judge of the archives. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { getXattr, setXattr } from '@boxship/linux';
import { type Descriptor, digestOf, mediaTypes } from '@boxship/oci';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBlob, writeBlob } from '../src/content/blobs.ts';
import { MemoryContentStore } from '../src/content/memory-store.ts';
import { labelKeys } from '../src/labels.ts';
import { LocalApplier } from '../src/local-applier.ts';
import { LocalComparer } from '../src/local-comparer.ts';
import { NativeSnapshotter } from '../src/snapshots/native.ts';
import { OverlaySnapshotter } from '../src/snapshots/overlay.ts';
import type { Snapshotter } from '../src/snapshots/snapshotter.ts';
import { withMounts } from '../src/snapshots/with-mounts.ts';

const listing = (bytes: Buffer): string[] =>
  execFileSync('tar', ['-tf', '-'], { input: bytes, env: { ...process.env, LC_ALL: 'C' } })
    .toString()
    .trim()
    .split('\n');

const isRoot = process.getuid?.() === 0;
for (const [name, open] of [
  ['overlay', (root: string): Snapshotter => new OverlaySnapshotter({ root, isDurable: false })],
  ['native', (root: string): Snapshotter => new NativeSnapshotter({ root, isDurable: false })],
] as const) {
  describe.skipIf(!isRoot)(`layers over ${name}`, () => {
    let root: string;
    let snapshotter: Snapshotter;
    const content = new MemoryContentStore();
    const applier = new LocalApplier(content);
    const comparer = new LocalComparer(content);
    beforeEach(() => {
      root = mkdtempSync(join(tmpdir(), `diff-${name}-`));
      snapshotter = open(root);
    });
    afterEach(async () => {
      await snapshotter.close();
      rmSync(root, { recursive: true, force: true });
    });
    const change = async (key: string, parent: string, work: (path: string) => void): Promise<Descriptor> => {
      const upper = await snapshotter.prepare(key, parent);
      await withMounts(upper, async (path) => work(path));
      const lower = parent === '' ? [] : await snapshotter.view(`${key}-below`, parent);
      return await comparer.compare(lower, upper, { mediaType: mediaTypes.ociLayer });
    };
    const base = (path: string): void => {
      for (const directory of ['keep', 'gone/sub', 'opaque/old', 'ren'])
        mkdirSync(join(path, directory), { recursive: true });
      for (const file of ['keep/f', 'gone/sub/f', 'opaque/old/f', 'del', 'touched', 'becomes-dir', 'ren/x'])
        writeFileSync(join(path, file), file);
      symlinkSync('keep', join(path, 'link'));
    };
    const edit = (path: string): void => {
      rmSync(join(path, 'del'));
      rmSync(join(path, 'gone'), { recursive: true });
      rmSync(join(path, 'opaque'), { recursive: true });
      mkdirSync(join(path, 'opaque'));
      writeFileSync(join(path, 'opaque/new'), 'new');
      rmSync(join(path, 'becomes-dir'));
      mkdirSync(join(path, 'becomes-dir'));
      writeFileSync(join(path, 'becomes-dir/in'), 'in');
      writeFileSync(join(path, 'keep/added'), Buffer.alloc(300_000, 'a'));
      linkSync(join(path, 'keep/added'), join(path, 'keep/linked'));
      chmodSync(join(path, 'touched'), 0o4755);
      execFileSync('chown', ['3:4', join(path, 'touched')]);
      chmodSync(join(path, 'touched'), 0o4755);
      writeFileSync(join(path, Buffer.from('caf\u00e9').toString()), 'utf8');
      setXattr(join(path, 'keep/added'), 'user.note', Buffer.from([0, 200, 10]));
      execFileSync('mknod', [join(path, 'dev'), 'c', '5', '1']);
    };

    it('writes what has changed and rebuilds it from the layers', async () => {
      const first = await change('one', '', base);
      await snapshotter.commit('base', 'one');
      const second = await change('two', 'base', edit);
      const names = listing(await readBlob(content, second, 1e9));
      expect(names).toEqual(
        expect.arrayContaining([
          '.wh.del',
          '.wh.gone',
          'becomes-dir/',
          'becomes-dir/in',
          'caf\\303\\251',
          'dev',
          'keep/',
          'keep/added',
          'keep/linked',
          'opaque/',
          'opaque/new',
          'touched',
        ]),
      );
      for (const unchanged of ['keep/f', 'ren/', 'ren/x', 'link', 'del']) expect(names).not.toContain(unchanged);
      // Rebuilt from the two archives, the tree is the same.
      for (const [index, layer] of [first, second].entries()) {
        const mounts = await snapshotter.prepare(`again-${index}`, index === 0 ? '' : 'rebuilt-0');
        const applied = await applier.apply(layer, mounts);
        expect(applied).toEqual({ mediaType: mediaTypes.ociLayer, digest: layer.digest, size: layer.size });
        await snapshotter.commit(`rebuilt-${index}`, `again-${index}`);
      }
      await withMounts(await snapshotter.mounts('two'), async (original) =>
        withMounts(await snapshotter.view('rebuilt', 'rebuilt-1'), async (rebuilt) => {
          // diff calls devices different even when their numbers are the same
          execFileSync('diff', ['-r', '--no-dereference', '--exclude=dev', original, rebuilt]);
          expect(lstatSync(join(rebuilt, 'dev')).rdev).toBe(lstatSync(join(original, 'dev')).rdev);
          const stat = lstatSync(join(rebuilt, 'touched'));
          expect([stat.uid, stat.gid, stat.mode & 0o7777]).toEqual([3, 4, 0o4755]);
          expect(lstatSync(join(rebuilt, 'keep/linked')).nlink).toBe(2);
          expect(getXattr(join(rebuilt, 'keep/added'), 'user.note')).toEqual(Buffer.from([0, 200, 10]));
        }),
      );
    });

    it('writes nothing for an unchanged tree', async () => {
      await change('one', '', base);
      await snapshotter.commit('base', 'one');
      const layer = await change('two', 'base', () => {});
      expect(layer.digest).toBe(digestOf(Buffer.alloc(1024)));
    });

    it('compresses, labels the blob with the diff id, and is deterministic', async () => {
      const upper = await snapshotter.prepare('one', '');
      await withMounts(upper, async (path) => base(path));
      for (const [mediaType, expand] of [
        [mediaTypes.ociLayerGzip, gunzipSync],
        [mediaTypes.ociLayerZstd, zstdDecompressSync],
      ] as const) {
        const layer = await comparer.compare([], upper, { mediaType, labels: { mine: 'x' } });
        const { labels } = await content.info(layer.digest);
        expect(labels).toEqual({
          mine: 'x',
          [labelKeys.uncompressed]: digestOf(expand(await readBlob(content, layer, 1e9))),
        });
        expect((await comparer.compare([], upper, { mediaType })).digest).toBe(layer.digest);
      }
      await expect(comparer.compare([], upper, { mediaType: 'text/plain' })).rejects.toMatchObject({
        kind: 'unimplemented',
      });
    });

    it('applies what the upper directory alone could not take', async () => {
      const source = join(root, 'source');
      mkdirSync(join(source, 'link'), { recursive: true });
      writeFileSync(join(source, 'f'), 'f');
      linkSync(join(source, 'f'), join(source, 'hard'));
      const tar = (...args: string[]): Buffer => execFileSync('tar', ['-cf', '-', '-C', source, ...args]);
      const below = await writeBlob(content, tar('f', 'link'), { ref: `a-${name}`, mediaType: mediaTypes.ociLayer });
      const mounts = await snapshotter.prepare('below-key', '');
      await applier.apply(below, mounts);
      await withMounts(mounts, async (path) => {
        renameSync(join(path, 'link'), join(path, 'real'));
        symlinkSync('real', join(path, 'link'));
        utimesSync(path, 1, 1);
      });
      await snapshotter.commit('below', 'below-key');
      writeFileSync(join(source, 'link/through'), 'through');
      const whole = tar('f', 'hard', 'link/through');
      // A layer that has the hard link, but not the file it points to.
      const second = Buffer.concat([whole.subarray(1024)]);
      const layer = await writeBlob(content, second, { ref: `b-${name}`, mediaType: mediaTypes.ociLayer });
      const top = await snapshotter.prepare('top', 'below');
      const applied = await applier.apply(layer, top);
      expect(applied.digest).toBe(digestOf(second));
      await withMounts(top, async (path) => {
        expect(readFileSync(join(path, 'hard'), 'utf8')).toBe('f');
        expect(lstatSync(join(path, 'link')).isSymbolicLink()).toBe(true);
        expect(readFileSync(join(path, 'real/through'), 'utf8')).toBe('through');
        expect(existsSync(join(path, 'link/through'))).toBe(true);
      });
    });

    it('refuses what is no layer', async () => {
      const mounts = await snapshotter.prepare('k', '');
      const helm = await writeBlob(content, Buffer.from('x'), {
        ref: 'helm',
        mediaType: 'application/vnd.cncf.helm.chart',
      });
      await expect(applier.apply(helm, mounts)).rejects.toMatchObject({ kind: 'unimplemented' });
      await expect(
        applier.apply({ mediaType: mediaTypes.ociLayer, digest: digestOf('none'), size: 4 }, mounts),
      ).rejects.toMatchObject({ kind: 'notFound' });
    });
  });
}
