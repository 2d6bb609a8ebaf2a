/** The snapshotter contract on every driver, and recovery of their directories. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { snapshotterDrivers } from '../src/snapshots/drivers.ts';
import { OverlaySnapshotter } from '../src/snapshots/overlay.ts';
import type { Snapshotter } from '../src/snapshots/snapshotter.ts';
import { withMounts } from '../src/snapshots/with-mounts.ts';
import { snapshotterSuite } from '../src/testsuite/snapshotter.ts';

/** Refused on every host that runs these tests. */
const neverHere = ['devmapper', 'zfs', 'aufs', 'windows', 'windowsfilter'];
const isRoot = process.getuid?.() === 0;

/** Where the driver's root is: for btrfs a file system of its own, in a file. */
function placeFor(name: string): { root: string; remove(): void } {
  const root = mkdtempSync(join(tmpdir(), `snapshots-${name}-`));
  const remove = () => rmSync(root, { recursive: true, force: true });
  if (name !== 'btrfs') return { root, remove };
  const disk = `${root}.img`;
  execFileSync('sh', ['-c', 'truncate -s 256M "$1"; mkfs.btrfs -q "$1"; mount -o loop "$1" "$2"', 'sh', disk, root]);
  return {
    root,
    remove: () => {
      execFileSync('umount', [root]);
      rmSync(disk);
      remove();
    },
  };
}

describe.skipIf(!isRoot)('as root', () => {
  for (const driver of snapshotterDrivers.filter(({ name }) => !neverHere.includes(name))) {
    snapshotterSuite(driver.name, async () => {
      const place = placeFor(driver.name);
      expect(driver.refusal(place.root)).toBe(undefined);
      let current = driver.open({ root: place.root });
      return {
        snapshotter: current,
        reopen: async () => {
          await current.close();
          current = driver.open({ root: place.root });
          return current;
        },
        close: async () => {
          await current.close();
          place.remove();
        },
      };
    });
  }

  it('refuses what this host has not, with the reason and what to use instead', () => {
    const root = mkdtempSync(join(tmpdir(), 'snapshots-refused-'));
    for (const name of ['btrfs', ...neverHere]) {
      const driver = snapshotterDrivers.find((one) => one.name === name);
      expect(driver?.refusal(root), name).toMatch(/use overlayfs$/);
    }
    rmSync(root, { recursive: true });
  });

  it('leaves no mount of erofs behind, and finds its layers again after a restart', async () => {
    const driver = snapshotterDrivers.find(({ name }) => name === 'erofs');
    const place = placeFor('erofs');
    const first = driver?.open({ root: place.root }) as Snapshotter;
    const whole = { f: 'x'.repeat(10_000), setuid: 'y' };
    await withMounts(await first.prepare('k', ''), async (path) => {
      for (const [name, text] of Object.entries(whole)) writeFileSync(join(path, name), text);
      chmodSync(join(path, 'setuid'), 0o4755);
      utimesSync(join(path, 'f'), 1000.25, 1000.25);
      symlinkSync('f', join(path, 'link'));
    });
    await first.commit('base', 'k');
    await withMounts(await first.prepare('k2', 'base'), async (path) => rmSync(join(path, 'link')));
    await first.commit('top', 'k2');
    await first.close();
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(place.root);
    const second = driver?.open({ root: place.root }) as Snapshotter;
    await withMounts(await second.view('v', 'top'), async (path) => {
      expect(readdirSync(path).sort()).toEqual(['f', 'setuid']);
      expect(readFileSync(join(path, 'f'), 'utf8')).toBe(whole.f);
      expect(statSync(join(path, 'f')).mtimeMs).toBe(1_000_250);
      expect(statSync(join(path, 'setuid')).mode & 0o7777).toBe(0o4755);
    });
    expect(existsSync(join(place.root, 'snapshots/1/layer.erofs'))).toBe(true);
    await second.remove('v');
    await second.remove('top');
    await second.close();
    place.remove();
  });

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
