/** A pull as a process of its own, to be killed: the reference and the root of the stores are its arguments. */
import { join } from 'node:path';
import {
  FsContentStore,
  LocalApplier,
  MemoryImageStore,
  OverlaySnapshotter,
  pull,
  Registry,
  SqliteLabelStore,
} from '../../src/index.ts';

const [reference = '', root = ''] = process.argv.slice(2);
await using registry = new Registry();
using content = new FsContentStore({
  root: join(root, 'content'),
  labels: new SqliteLabelStore(join(root, 'labels.db')),
});
const snapshotter = new OverlaySnapshotter({ root: join(root, 'snapshots') });
const unpack = { snapshotter, snapshotterName: 'overlayfs', applier: new LocalApplier(content) };
await pull({ reference, registry, content, images: new MemoryImageStore(), unpack });
await snapshotter.close();
process.stdout.write('pulled');
