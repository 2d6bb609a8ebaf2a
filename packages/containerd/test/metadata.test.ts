/** The shared suites on the stores as a namespace sees them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@boxship/base';
import { FsContentStore, NativeSnapshotter, OverlaySnapshotter } from '@boxship/image-store';
import { contentSuite } from '@boxship/image-store/testsuite/content';
import { snapshotterSuite } from '@boxship/image-store/testsuite/snapshotter';
import { ContentTable } from '../src/metadata/content.ts';
import { Database } from '../src/metadata/database.ts';
import { LeaseTable } from '../src/metadata/leases.ts';
import { SnapshotTable } from '../src/metadata/snapshots.ts';

const onMutation = () => {};

contentSuite('a namespace of containerd', async () => {
  const root = mkdtempSync(join(tmpdir(), 'boxship-meta-'));
  const database = Database.open(join(root, 'meta.db'), silentLogger);
  const backend = new FsContentStore({ root: join(root, 'content') });
  const table = new ContentTable({ database, leases: new LeaseTable(database), backend, onMutation });
  return {
    store: table.in('test'),
    close: async () => {
      backend[Symbol.dispose]();
      database[Symbol.dispose]();
      rmSync(root, { recursive: true, force: true });
    },
  };
});

for (const name of ['overlayfs', 'native'] as const) {
  snapshotterSuite(`${name} in a namespace of containerd`, async () => {
    const root = mkdtempSync(join(tmpdir(), 'boxship-meta-'));
    const database = Database.open(join(root, 'meta.db'), silentLogger);
    const options = { root: join(root, 'snapshots') };
    const backend = name === 'native' ? new NativeSnapshotter(options) : new OverlaySnapshotter(options);
    const table = new SnapshotTable({ database, leases: new LeaseTable(database), name, backend, onMutation });
    return {
      snapshotter: table.in('test'),
      close: async () => {
        await backend.close();
        database[Symbol.dispose]();
        rmSync(root, { recursive: true, force: true });
      },
    };
  });
}
