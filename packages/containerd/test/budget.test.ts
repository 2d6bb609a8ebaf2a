/** What the stores take, as du(1) sees it, and the budget that they keep. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll, silentLogger } from '@boxship/base';
import { digestOf, parseDigest } from '@boxship/oci';
import { expect, it } from 'vitest';
import { storeUsage } from '../src/gc/budget.ts';
import { openStores, type Stores } from '../src/metadata/open-stores.ts';

const MB = 1_000_000;
const rootLabel = { 'containerd.io/gc.root': '1' };

async function put(stores: Stores, size: number, isRoot: boolean): Promise<string> {
  const bytes = randomBytes(size);
  const expected = digestOf(bytes);
  await using writer = await stores.content.in('test').writer({ ref: expected, expected });
  await writer.write(bytes);
  await writer.commit({ labels: isRoot ? rootLabel : {} });
  return expected;
}

it('counts what du counts, and collects when it is more than allowed', async () => {
  const root = mkdtempSync(join(tmpdir(), 'budget-'));
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (message: string) => void warnings.push(message) };
  await using resources = new AsyncDisposableStack();
  const stores = await openStores({ root, log, budgetBytes: 20 * MB }, resources);
  const kept = await put(stores, 6 * MB, true);
  const snapshots = stores.snapshots.get('overlayfs')?.in('test');
  const [mount] = (await snapshots?.prepare('k', '', { labels: rootLabel })) ?? [];
  for (let at = 0; at < 100; at++) writeFileSync(join(mount?.source ?? '', `f${at}`), randomBytes(50_000 + at));
  await snapshots?.commit('layer', 'k', { labels: rootLabel });

  const { contentBytes, snapshotBytes } = await storeUsage(stores);
  const du = Number(
    execFileSync('sh', [
      '-c',
      'du -scB1 "$1"/io.containerd.content* "$1"/io.containerd.snapshotter*/snapshots | tail -1',
      'sh',
      root,
    ])
      .toString()
      .split('\t')[0],
  );
  expect(Math.abs(contentBytes + snapshotBytes - du)).toBeLessThan(du / 100);

  // over the budget by what nobody refers to: it goes without being asked
  const unused = await put(stores, 12 * MB, false);
  const isThere = (digest: string) =>
    stores.content.options.backend.info(parseDigest(digest)).then(
      () => true,
      () => false,
    );
  expect(
    await poll({ everyMs: 100, timeoutMs: 20_000 }, async () => ((await isThere(unused)) ? undefined : 'gone')),
  ).toBe('gone');
  expect(await isThere(kept)).toBe(true);
  expect(warnings).toEqual([]);

  // over the budget by what is in use: it stays, and is told once
  const used = await put(stores, 12 * MB, true);
  expect(await poll({ everyMs: 100, timeoutMs: 20_000 }, () => warnings[0])).toContain('over their budget');
  expect(await isThere(used)).toBe(true);
  await resources.disposeAsync();
  rmSync(root, { recursive: true });
});
