/**
 * What every snapshotter promises. Run it on a driver, on a metadata layer, and through a wire. Needs root: the trees are
 * mounted and looked at.
 *
 *   snapshotterSuite('overlay', async () => ({ snapshotter: new OverlaySnapshotter({ root }), close: async () => { … } }));
 */
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseFilters } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Mount, Snapshotter } from '../snapshots/snapshotter.ts';
import { withMounts } from '../snapshots/with-mounts.ts';

export interface SnapshotterSuiteSubject {
  readonly snapshotter: Snapshotter;
  /** The same snapshots after a restart; absent when the snapshotter is at the far end of a wire. */
  readonly reopen?: () => Promise<Snapshotter>;
  close(): Promise<void>;
}

const kind = (value: string) => expect.objectContaining({ kind: value });

export function snapshotterSuite(name: string, make: () => Promise<SnapshotterSuiteSubject>): void {
  describe(`snapshotter: ${name}`, () => {
    let subject: SnapshotterSuiteSubject;
    let snapshotter: Snapshotter;
    beforeEach(async () => {
      subject = await make();
      snapshotter = subject.snapshotter;
    });
    afterEach(() => subject.close());

    const look = <T>(mounts: readonly Mount[], work: (path: string) => T): Promise<T> =>
      withMounts(mounts, async (path) => work(path));
    /** Commits a layer that `change` makes. */
    const layer = async (layerName: string, parent: string, change: (path: string) => void): Promise<void> => {
      await look(await snapshotter.prepare(`${layerName}-key`, parent), change);
      await snapshotter.commit(layerName, `${layerName}-key`);
    };
    const names = async (filters: string[] = []): Promise<string[]> => {
      const found: string[] = [];
      for await (const info of snapshotter.list(parseFilters(filters))) found.push(info.name);
      return found.sort();
    };

    it('stacks layers', async () => {
      await layer('one', '', (root) => {
        mkdirSync(join(root, 'd'));
        writeFileSync(join(root, 'd/a'), 'a1');
        writeFileSync(join(root, 'b'), 'b1');
      });
      await layer('two', 'one', (root) => {
        expect(readFileSync(join(root, 'd/a'), 'utf8')).toBe('a1');
        writeFileSync(join(root, 'd/a'), 'a2');
        rmSync(join(root, 'b'));
      });
      await layer('three', 'two', (root) => writeFileSync(join(root, 'c'), 'c3'));
      const shown = (path: string): unknown[] => [
        readFileSync(join(path, 'd/a'), 'utf8'),
        existsSync(join(path, 'b')),
        readFileSync(join(path, 'c'), 'utf8'),
      ];
      expect(await look(await snapshotter.view('view', 'three'), shown)).toEqual(['a2', false, 'c3']);
      expect(await look(await snapshotter.prepare('active', 'three'), shown)).toEqual(['a2', false, 'c3']);
      const first = await snapshotter.view('first', 'one');
      expect(await look(first, (path) => readFileSync(join(path, 'b'), 'utf8'))).toBe('b1');
    });

    it('keeps layers apart: a container does not change its image', async () => {
      await layer('image', '', (root) => writeFileSync(join(root, 'f'), 'image'));
      await look(await snapshotter.prepare('c1', 'image'), (path) => writeFileSync(join(path, 'f'), 'c1'));
      await look(await snapshotter.prepare('c2', 'image'), (path) =>
        expect(readFileSync(join(path, 'f'), 'utf8')).toBe('image'),
      );
      await look(await snapshotter.mounts('c1'), (path) => expect(readFileSync(join(path, 'f'), 'utf8')).toBe('c1'));
    });

    it('shows a view read-only', async () => {
      await layer('base', '', (root) => writeFileSync(join(root, 'f'), 'x'));
      await layer('top', 'base', (root) => writeFileSync(join(root, 'g'), 'x'));
      for (const [key, parent] of [
        ['v0', ''],
        ['v1', 'base'],
        ['v2', 'top'],
      ] as const) {
        await look(await snapshotter.view(key, parent), (path) => {
          expect(() => writeFileSync(join(path, 'new'), '')).toThrow('EROFS');
        });
      }
    });

    it('follows files that are linked, renamed and replaced by directories', async () => {
      await layer('base', '', (root) => {
        mkdirSync(join(root, 'old/sub'), { recursive: true });
        writeFileSync(join(root, 'old/sub/f'), 'f');
        writeFileSync(join(root, 'x'), 'x');
        symlinkSync('x', join(root, 'link'));
      });
      await layer('changed', 'base', (root) => {
        try {
          renameSync(join(root, 'old/sub'), join(root, 'moved'));
        } catch (error) {
          // Overlay without redirects answers EXDEV for directories of lower layers, and mv(1) copies.
          expect((error as NodeJS.ErrnoException).code).toBe('EXDEV');
          mkdirSync(join(root, 'moved'));
          writeFileSync(join(root, 'moved/f'), 'f');
          rmSync(join(root, 'old/sub'), { recursive: true });
        }
        linkSync(join(root, 'x'), join(root, 'y'));
        rmSync(join(root, 'link'));
        mkdirSync(join(root, 'link'));
        writeFileSync(join(root, 'link/inside'), 'inside');
      });
      await look(await snapshotter.view('v', 'changed'), (root) => {
        expect(existsSync(join(root, 'old/sub'))).toBe(false);
        expect(readFileSync(join(root, 'moved/f'), 'utf8')).toBe('f');
        expect(lstatSync(join(root, 'x')).nlink).toBe(2);
        expect(readFileSync(join(root, 'link/inside'), 'utf8')).toBe('inside');
      });
      await look(await snapshotter.view('b', 'base'), (root) => expect(readlinkSync(join(root, 'link'))).toBe('x'));
    });

    it('gives the root of a new layer the mode of the one below', async () => {
      await look(await snapshotter.prepare('k', ''), (path) => expect(lstatSync(path).mode & 0o7777).toBe(0o755));
      await snapshotter.commit('base', 'k');
      await look(await snapshotter.prepare('next', 'base'), (path) =>
        expect(lstatSync(path).mode & 0o7777).toBe(0o755),
      );
    });

    it('tells what a snapshot is', async () => {
      await layer('base', '', () => {});
      await snapshotter.prepare('a', 'base', { labels: { colour: 'red' } });
      await snapshotter.view('v', 'base');
      expect(await snapshotter.stat('base')).toMatchObject({ kind: 'committed', name: 'base', parent: '' });
      expect(await snapshotter.stat('a')).toMatchObject({
        kind: 'active',
        name: 'a',
        parent: 'base',
        labels: { colour: 'red' },
      });
      expect(await snapshotter.stat('v')).toMatchObject({ kind: 'view', parent: 'base' });
      expect(await names()).toEqual(['a', 'base', 'v']);
      expect(await names(['kind==active'])).toEqual(['a']);
      expect(await names(['parent==base,labels.colour==red', 'kind==committed'])).toEqual(['a', 'base']);
    });

    it('stores the labels of the commit, not those of the key', async () => {
      await snapshotter.prepare('k', '', { labels: { of: 'key' } });
      await snapshotter.commit('n', 'k', { labels: { of: 'commit' } });
      expect((await snapshotter.stat('n')).labels).toEqual({ of: 'commit' });
      await expect(snapshotter.stat('k')).rejects.toThrow(kind('notFound'));
      expect((await snapshotter.update({ name: 'n', labels: { more: '1' }, fields: ['more'] })).labels).toEqual({
        of: 'commit',
        more: '1',
      });
      expect((await snapshotter.update({ name: 'n', labels: { only: '2' } })).labels).toEqual({ only: '2' });
    });

    it('answers the same mounts again', async () => {
      await layer('base', '', () => {});
      const mounts = await snapshotter.prepare('a', 'base');
      expect(await snapshotter.mounts('a')).toEqual(mounts);
      await expect(snapshotter.mounts('base')).rejects.toThrow(kind('failedPrecondition'));
      await expect(snapshotter.mounts('none')).rejects.toThrow(kind('notFound'));
    });

    it('refuses names that are taken, missing or of the wrong kind', async () => {
      await layer('base', '', () => {});
      await snapshotter.prepare('a', 'base');
      await expect(snapshotter.prepare('a', '')).rejects.toThrow(kind('alreadyExists'));
      await expect(snapshotter.view('base', '')).rejects.toThrow(kind('alreadyExists'));
      await expect(snapshotter.prepare('b', 'none')).rejects.toThrow(kind('notFound'));
      await expect(snapshotter.prepare('b', 'a')).rejects.toThrow(kind('invalidArgument'));
      await expect(snapshotter.commit('base', 'a')).rejects.toThrow(kind('alreadyExists'));
      await expect(snapshotter.commit('new', 'none')).rejects.toThrow(kind('notFound'));
      await snapshotter.view('v', 'base');
      await expect(snapshotter.commit('new', 'v')).rejects.toThrow(kind('failedPrecondition'));
      for (const call of [
        () => snapshotter.stat('none'),
        () => snapshotter.remove('none'),
        () => snapshotter.usage('none'),
        () => snapshotter.update({ name: 'none', labels: {} }),
      ])
        await expect(call()).rejects.toThrow(kind('notFound'));
      expect(await names()).toEqual(['a', 'base', 'v']);
    });

    it('removes leaf first', async () => {
      await layer('one', '', () => {});
      await layer('two', 'one', () => {});
      await expect(snapshotter.remove('one')).rejects.toThrow(kind('failedPrecondition'));
      await snapshotter.remove('two');
      await snapshotter.remove('one');
      expect(await names()).toEqual([]);
      await snapshotter.prepare('one', '');
    });

    it('measures what a snapshot adds', async () => {
      await layer('base', '', (root) => writeFileSync(join(root, 'f'), Buffer.alloc(1_000_000, 1)));
      const base = await snapshotter.usage('base');
      expect(base.inodes).toBe(2);
      expect(base.sizeBytes).toBeGreaterThanOrEqual(1_000_000);
      expect(base.sizeBytes).toBeLessThan(1_200_000);
      await look(await snapshotter.prepare('a', ''), (root) => writeFileSync(join(root, 'g'), 'x'));
      expect((await snapshotter.usage('a')).inodes).toBe(2);
    });

    it('knows everything after a restart', async () => {
      if (subject.reopen === undefined) return;
      await layer('base', '', (root) => writeFileSync(join(root, 'f'), 'kept'));
      await snapshotter.prepare('a', 'base', { labels: { l: '1' } });
      const mounts = await snapshotter.mounts('a');
      const again = await subject.reopen();
      expect(await again.stat('a')).toMatchObject({ kind: 'active', parent: 'base', labels: { l: '1' } });
      expect(await again.mounts('a')).toEqual(mounts);
      await look(await again.mounts('a'), (path) => expect(readFileSync(join(path, 'f'), 'utf8')).toBe('kept'));
    });
  });
}
