/** Layers that are called committed before they are on the disk: what a cut of power and a crash make of them. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { labelKeys, OverlaySnapshotter } from '../src/index.ts';

describe.skipIf(process.getuid?.() !== 0)('a layer of an image', () => {
  let root: string;
  const opened: OverlaySnapshotter[] = [];
  /** As a start finds it; the process before has died, it does not close. */
  const open = (bootId: string): OverlaySnapshotter => {
    const snapshotter = new OverlaySnapshotter({ root, bootId });
    opened.push(snapshotter);
    return snapshotter;
  };
  const prepareLayer = async (snapshotter: OverlaySnapshotter, name: string, parent: string): Promise<void> => {
    const labels = { [labelKeys.snapshotRef]: name };
    const [mount] = await snapshotter.prepare(`extract ${name}`, parent, { labels });
    const upper = mount?.options.find((option) => option.startsWith('upperdir='))?.slice('upperdir='.length);
    writeFileSync(join(upper ?? mount?.source ?? '', name), name);
  };
  const layer = async (snapshotter: OverlaySnapshotter, name: string, parent: string): Promise<void> => {
    await prepareLayer(snapshotter, name, parent);
    await snapshotter.commit(name, `extract ${name}`);
  };
  const names = async (snapshotter: OverlaySnapshotter): Promise<string[]> => {
    const found: string[] = [];
    for await (const { name } of snapshotter.list()) found.push(name);
    return found.sort();
  };
  const unsynced = (): string[] =>
    readdirSync(join(root, 'info')).filter((name) =>
      readFileSync(join(root, 'info', name), 'utf8').includes('unsyncedIn'),
    );
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'deferred-'));
  });
  afterEach(async () => {
    for (const snapshotter of opened.splice(0)) await snapshotter.close();
    rmSync(root, { recursive: true });
  });

  it('is dropped with those above when the host went down before it was on the disk', async () => {
    const first = open('first');
    await first.prepare('before', '');
    await first.commit('kept', 'before');
    await layer(first, 'one', 'kept');
    await layer(first, 'two', 'one');
    await prepareLayer(first, 'three', 'two');
    expect(await names(open('first'))).toEqual(['extract three', 'kept', 'one', 'two']); // a crash alone takes nothing
    const second = open('second');
    expect(await names(second)).toEqual(['kept']);
    await second.cleanup();
    expect(readdirSync(join(root, 'snapshots'))).toHaveLength(1);
    await layer(second, 'one', 'kept'); // and can be made again
  });

  it('is on the disk before a container stands on it', async () => {
    const first = open('first');
    await layer(first, 'one', '');
    await layer(first, 'two', 'one');
    await first.prepare('container', 'two');
    await layer(first, 'other', '');
    expect(await names(open('second'))).toEqual(['container', 'one', 'two']);
  });

  it('is put on the disk by the start after a crash, by a regular end, and by itself', async () => {
    await layer(open('first'), 'one', '');
    expect(unsynced()).toHaveLength(1);
    const second = open('first');
    await second.view('look', 'one'); // waits for it
    expect(unsynced()).toEqual([]);
    await layer(second, 'two', 'one');
    await second.close();
    expect(unsynced()).toEqual([]);
    const third = open('first');
    await layer(third, 'three', 'two');
    await expect.poll(unsynced, { timeout: 10_000 }).toEqual([]);
    expect(await names(open('second'))).toEqual(['look', 'one', 'three', 'two']);
    opened.splice(opened.indexOf(second), 1);
  });

  it('stays what it is when the database is lost as well', async () => {
    await layer(open('first'), 'one', '');
    const database = join(root, 'metadata.db');
    for (const suffix of ['-wal', '-shm']) rmSync(database + suffix, { force: true });
    writeFileSync(database, 'damaged');
    opened.length = 0; // it would write over that
    expect(await names(open('second'))).toEqual([]);
  });
});
