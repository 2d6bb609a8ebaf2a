/** The snapshotter contract on both drivers, and recovery of their directories. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NativeSnapshotter } from '../src/snapshots/native.ts';
import { OverlaySnapshotter } from '../src/snapshots/overlay.ts';
import type { Snapshotter } from '../src/snapshots/snapshotter.ts';
import { snapshotterSuite } from '../src/testsuite/snapshotter.ts';

const isRoot = process.getuid?.() === 0;

describe.skipIf(!isRoot)('as root', () => {
  for (const [name, open] of [
    ['overlay', (root: string): Snapshotter => new OverlaySnapshotter({ root })],
    ['native', (root: string): Snapshotter => new NativeSnapshotter({ root })],
  ] as const) {
    snapshotterSuite(name, async () => {
      const root = mkdtempSync(join(tmpdir(), `snapshots-${name}-`));
      let current = open(root);
      return {
        snapshotter: current,
        reopen: async () => {
          await current.close();
          current = open(root);
          return current;
        },
        close: async () => {
          await current.close();
          rmSync(root, { recursive: true, force: true });
        },
      };
    });
  }

  it('starts with what an interrupted run left, and says what is lost', async () => {
    const root = mkdtempSync(join(tmpdir(), 'snapshots-recover-'));
    const first = new OverlaySnapshotter({ root });
    await first.prepare('k', '');
    await first.commit('base', 'k');
    await first.prepare('lost', 'base');
    await first.prepare('kept', '');
    const [source = ''] = (await first.mounts('kept')).map((mount) => mount.source);
    await first.close();
    mkdirSync(join(root, 'snapshots/new-abc/fs'), { recursive: true });
    mkdirSync(join(root, 'snapshots/rm-abc/fs'), { recursive: true });
    mkdirSync(join(root, 'snapshots/99'));
    renameSync(join(root, 'snapshots/1'), join(root, 'gone')); // `base`
    const second = new OverlaySnapshotter({ root });
    await second.cleanup();
    expect(readdirSync(join(root, 'snapshots'))).toEqual(['3', 'lost-2']);
    expect(existsSync(source)).toBe(true);
    await expect(second.stat('lost')).rejects.toMatchObject({ kind: 'notFound' });
    await second.close();
    rmSync(root, { recursive: true, force: true });
  });

  it('rebuilds a damaged database from the records beside it', async () => {
    const root = mkdtempSync(join(tmpdir(), 'snapshots-damaged-'));
    const first = new OverlaySnapshotter({ root });
    await first.prepare('k', '');
    await first.commit('base', 'k', { labels: { a: 'b' } });
    const mounts = await first.prepare('c', 'base');
    await first.close();
    for (const name of readdirSync(root)) if (name.startsWith('metadata.db-')) rmSync(join(root, name));
    writeFileSync(join(root, 'metadata.db'), Buffer.alloc(16_384, 'damage'));
    const second = new OverlaySnapshotter({ root });
    expect(await second.mounts('c')).toEqual(mounts);
    expect(await second.stat('base')).toMatchObject({ kind: 'committed', labels: { a: 'b' } });
    await second.close();
    rmSync(root, { recursive: true, force: true });
  });

  it('refuses a root that would be read as mount options', () => {
    expect(() => new OverlaySnapshotter({ root: '/tmp/a,upperdir=/x' })).toThrow(
      expect.objectContaining({ kind: 'invalidArgument' }),
    );
  });

  it("answers containerd's mounts", async () => {
    const root = mkdtempSync(join(tmpdir(), 'snapshots-mounts-'));
    const snapshotter = new OverlaySnapshotter({ root });
    const at = (id: number, part = 'fs'): string => join(root, 'snapshots', String(id), part);
    expect(await snapshotter.prepare('k1', '')).toEqual([{ type: 'bind', source: at(1), options: ['rw', 'rbind'] }]);
    await snapshotter.commit('one', 'k1');
    expect(await snapshotter.view('v1', 'one')).toEqual([{ type: 'bind', source: at(1), options: ['ro', 'rbind'] }]);
    const [active] = await snapshotter.prepare('k2', 'one');
    expect(active?.options.filter((option) => option !== 'index=off')).toEqual([
      `workdir=${at(3, 'work')}`,
      `upperdir=${at(3)}`,
      `lowerdir=${at(1)}`,
    ]);
    await snapshotter.close();
    rmSync(root, { recursive: true, force: true });
  });
});
