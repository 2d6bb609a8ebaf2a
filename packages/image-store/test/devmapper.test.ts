/** The snapshotter contract on devices of a thin pool. Runs where the kernel has the device mapper: in the virtual machine. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { snapshotterDrivers } from '../src/snapshots/drivers.ts';
import { ThinPool } from '../src/snapshots/volumes/thin-pool.ts';
import { VolumeSnapshotter } from '../src/snapshots/volumes/volume-snapshotter.ts';
import { withMounts } from '../src/snapshots/with-mounts.ts';
import { snapshotterSuite } from '../src/testsuite/snapshotter.ts';
import { removeAll } from './support/remove-all.ts';

const pool = 'boxship-test';
const sizeBytes = 256 * 2 ** 20;
const dmsetup = (...args: string[]): string => execFileSync('dmsetup', ['--verifyudev', ...args], { encoding: 'utf8' });
/** Every block device of the pool. */
const active = (): string[] => readdirSync('/dev/mapper').filter((name) => name.startsWith(`${pool}-snap-`));
/** Blocks of 64 KiB that the pool has given out. */
const used = (): number => Number(/ (\d+)\/\d+ - /.exec(dmsetup('status', pool))?.[1]);

/** A pool over two files; gives their loop devices. */
function makePool(directory: string, dataMb: number): readonly string[] {
  const loop = (name: string, mb: number): string => {
    const file = join(directory, name);
    execFileSync('truncate', ['-s', `${mb}M`, file]);
    return execFileSync('losetup', ['-f', '--show', file], { encoding: 'utf8' }).trim();
  };
  const [metadata, data] = [loop('metadata', 8), loop('data', dataMb)];
  dmsetup('create', pool, '--table', `0 ${dataMb * 2048} thin-pool ${metadata} ${data} 128 0 1 error_if_no_space`);
  return [metadata, data];
}

function removePool(directory: string, loops: readonly string[]): void {
  dmsetup('remove', '--retry', pool);
  for (const loop of loops) execFileSync('losetup', ['-d', loop]);
  rmSync(directory, { recursive: true });
}

describe.skipIf(!existsSync('/dev/mapper/control'))('with a device mapper', () => {
  let directory: string;
  let loops: readonly string[];
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'devmapper-'));
    loops = makePool(directory, 200);
  });
  afterAll(() => removePool(directory, loops));
  const root = () => mkdtempSync(join(directory, 'root-'));
  const open = (at: string) => new VolumeSnapshotter({ root: at }, new ThinPool({ pool, sizeBytes }));

  snapshotterSuite('devmapper', async () => {
    const at = root();
    let current = open(at);
    return {
      snapshotter: current,
      reopen: async () => {
        await current.close();
        current = open(at);
        return current;
      },
      close: async () => {
        await removeAll(current);
        await current.close();
        expect([active(), used()]).toEqual([[], 0]);
      },
    };
  });

  it('frees what an interrupted run has made, and keeps what was finished', async () => {
    const at = root();
    const first = open(at);
    await withMounts(await first.prepare('k', ''), async (path) => writeFileSync(join(path, 'f'), 'kept'));
    await first.commit('base', 'k');
    await first.close();
    // as if it had been killed after the device was made, and before the snapshot was
    const half = join(at, 'snapshots/new-abc');
    mkdirSync(half);
    writeFileSync(join(half, 'volume'), JSON.stringify({ name: '77', sizeBytes }));
    const { name } = JSON.parse(readFileSync(join(at, 'snapshots/1/volume'), 'utf8')) as { name: string };
    dmsetup('message', pool, '0', `create_snap 77 ${name}`);
    const second = open(at);
    await second.cleanup();
    expect(readdirSync(join(at, 'snapshots'))).toEqual(['1']);
    expect(() => dmsetup('message', pool, '0', 'delete 77')).toThrow('No data available');
    await withMounts(await second.view('v', 'base'), async (path) =>
      expect(readFileSync(join(path, 'f'), 'utf8')).toBe('kept'),
    );
    await second.remove('v');
    await second.remove('base');
    await second.close();
    expect([active(), used()]).toEqual([[], 0]);
  });

  it('refuses a snapshot when the pool is full, and loses nothing', async () => {
    const at = root();
    const snapshotter = open(at);
    await withMounts(await snapshotter.prepare('k', ''), async (path) => writeFileSync(join(path, 'f'), 'kept'));
    await snapshotter.commit('base', 'k');
    await withMounts(await snapshotter.prepare('full', 'base'), async (path) => {
      const write = () => {
        writeFileSync(join(path, 'big'), Buffer.alloc(2 ** 20, 1), { flag: 'as' });
      };
      expect(() => {
        for (let mb = 0; mb < 250; mb++) write();
      }).toThrow(/EIO|ENOSPC|EROFS/);
    });
    await expect(snapshotter.prepare('more', 'base')).rejects.toMatchObject({ kind: 'resourceExhausted' });
    await snapshotter.remove('full');
    await snapshotter.cleanup();
    await withMounts(await snapshotter.view('v', 'base'), async (path) =>
      expect(readFileSync(join(path, 'f'), 'utf8')).toBe('kept'),
    );
    await snapshotter.remove('v');
    await snapshotter.remove('base');
    await snapshotter.close();
  });

  it('is refused without a pool', () => {
    const driver = snapshotterDrivers.find(({ name }) => name === 'devmapper');
    expect(driver?.refusal('/')).toMatch(/--devmapper-pool.*overlayfs$/);
    expect(driver?.refusal('/', { devmapperPool: 'none' })).toMatch(/no thin pool none.*overlayfs$/);
    expect(driver?.refusal('/', { devmapperPool: pool })).toBe(undefined);
  });
});
