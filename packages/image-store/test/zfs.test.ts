/** The snapshotter contract on datasets of ZFS. Runs where the kernel has ZFS, which no kernel of Debian brings. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { snapshotterDrivers } from '../src/snapshots/drivers.ts';
import type { Snapshotter } from '../src/snapshots/snapshotter.ts';
import { withMounts } from '../src/snapshots/with-mounts.ts';
import { snapshotterSuite } from '../src/testsuite/snapshotter.ts';
import { removeAll } from './support/remove-all.ts';

const pool = 'boxship-test';
const run = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: 'utf8' });
const hasZfs = readFileSync('/proc/filesystems', 'utf8').includes('\tzfs\n');

describe.skipIf(!hasZfs)('with ZFS', () => {
  let directory: string;
  let made = 0;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'zfs-'));
    run('truncate', '-s', '512M', join(directory, 'disk'));
    run('zpool', 'create', '-O', 'compression=off', '-m', join(directory, 'pool'), pool, join(directory, 'disk'));
  });
  afterAll(() => {
    run('zpool', 'destroy', pool);
    rmSync(directory, { recursive: true });
  });

  /** A dataset of its own, and the snapshotter on it. */
  function place() {
    const dataset = `${pool}/place${++made}`;
    run('zfs', 'create', dataset);
    const root = join(directory, 'pool', `place${made}`);
    const driver = snapshotterDrivers.find(({ name }) => name === 'zfs');
    expect(driver?.refusal(root)).toBe(undefined);
    return {
      root,
      dataset,
      open: () => driver?.open({ root }) as Snapshotter,
      datasets: () => run('zfs', 'list', '-Ho', 'name', '-r', '-t', 'all', dataset).trim().split('\n'),
    };
  }

  snapshotterSuite('zfs', async () => {
    const { dataset, open, datasets } = place();
    let current = open();
    return {
      snapshotter: current,
      reopen: async () => {
        await current.close();
        current = open();
        return current;
      },
      close: async () => {
        await removeAll(current);
        await current.close();
        expect(datasets()).toEqual([dataset]);
        run('zfs', 'destroy', dataset);
      },
    };
  });

  it('frees what an interrupted run has made, and keeps what was finished', async () => {
    const { root, dataset, open, datasets } = place();
    const first = open();
    await withMounts(await first.prepare('k', ''), async (path) => writeFileSync(join(path, 'f'), 'kept'));
    await first.commit('base', 'k');
    await first.close();
    const half = join(root, 'snapshots/new-abc');
    mkdirSync(half);
    writeFileSync(join(half, 'volume'), JSON.stringify({ name: `${dataset}/half`, sizeBytes: 0 }));
    run('zfs', 'create', `${dataset}/half`);
    const second = open();
    await second.cleanup();
    expect(readdirSync(join(root, 'snapshots'))).toEqual(['1']);
    expect(datasets()).not.toContain(`${dataset}/half`);
    await withMounts(await second.view('v', 'base'), async (path) =>
      expect(readFileSync(join(path, 'f'), 'utf8')).toBe('kept'),
    );
    await removeAll(second);
    await second.close();
    expect(datasets()).toEqual([dataset]);
  });

  it('is refused on what is no dataset', () => {
    const driver = snapshotterDrivers.find(({ name }) => name === 'zfs');
    expect(driver?.refusal(tmpdir())).toMatch(/dataset.*overlayfs$/);
  });
});
