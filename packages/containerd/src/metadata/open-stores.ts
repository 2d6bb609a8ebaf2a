/**
 * The stores of a containerd over one root: database, content, snapshots, and the collection that keeps them in step. Without
 * runtime and services, so that a test of recovery opens thousands of them.
 */
import { join } from 'node:path';
import { containers, images } from '@boxship/api';
import type { Logger } from '@boxship/base';
import { FsContentStore, type SnapshotterSettings, snapshotterDrivers } from '@boxship/image-store';
import { StoreBudget, storeUsage } from '../gc/budget.ts';
import { type CollectorOptions, collect } from '../gc/collector.ts';
import { CollectionScheduler } from '../gc/scheduler.ts';
import { ContentTable } from './content.ts';
import { Database } from './database.ts';
import { LeaseTable } from './leases.ts';
import { NamespaceTable } from './namespaces.ts';
import { type FoundBundle, rebuildMetadata } from './rebuild.ts';
import { RecordTable } from './record-table.ts';
import { SnapshotTable } from './snapshots.ts';

export interface StoresOptions extends SnapshotterSettings {
  /** Persistent data. */
  readonly root: string;
  readonly log: Logger;
  /** Names of {@link snapshotterDrivers}; default: all. */
  readonly snapshotters?: readonly string[];
  /** What tells this boot of the host from others; default: the kernel's id. */
  readonly bootId?: string;
  /** What blobs and layers may take before everything unused is collected; default: without limit. */
  readonly budgetBytes?: number;
  /** Told of an image whose time is over. */
  readonly onImageExpired?: (namespace: string, name: string) => void;
  /** The bundles there are; asked for when the database was lost. */
  readonly bundles?: () => readonly FoundBundle[];
}

export interface Stores extends CollectorOptions {
  readonly scheduler: CollectionScheduler;
  /** Snapshotters that this host does not allow, and why. */
  readonly refusedSnapshotters: ReadonlyMap<string, string>;
}

/** Opens them and ends what a crash has cut off; `resources` closes them, the last one first. */
export async function openStores(options: StoresOptions, resources: AsyncDisposableStack): Promise<Stores> {
  const { root, log } = options;
  const database = resources.use(Database.open(join(root, 'meta.db'), log));
  const leases = new LeaseTable(database);
  const onMutation = () => {
    scheduler.mutated();
    budget?.changed();
  };
  // labels are rows of ours, by namespace: the store below keeps none
  const blobs = resources.use(new FsContentStore({ root: join(root, 'io.containerd.content.v1.content'), log }));
  const snapshots = new Map<string, SnapshotTable>();
  const refusedSnapshotters = new Map<string, string>();
  for (const driver of snapshotterDrivers) {
    const { name } = driver;
    if (options.snapshotters?.includes(name) === false) continue;
    const place = {
      root: join(root, `io.containerd.snapshotter.v1.${name}`),
      log,
      ...(options.bootId === undefined ? {} : { bootId: options.bootId }),
    };
    const refusal = driver.refusal(place.root, options);
    if (refusal !== undefined) {
      refusedSnapshotters.set(name, refusal);
      continue;
    }
    const backend = driver.open({ ...place, devmapperPool: options.devmapperPool });
    resources.defer(() => backend.close());
    snapshots.set(name, new SnapshotTable({ database, leases, name, backend, onMutation }));
  }
  for (const table of snapshots.values()) await table.recover();
  const tables: CollectorOptions = {
    database,
    namespaces: new NamespaceTable(database),
    leases,
    images: new RecordTable<images.Image>(database, 'image', images.Image),
    containers: new RecordTable<containers.Container>(database, 'container', containers.Container),
    content: new ContentTable({ database, leases, backend: blobs, onMutation }),
    snapshots,
    ...(options.onImageExpired === undefined ? {} : { onImageExpired: options.onImageExpired }),
    log,
  };
  if (database.replayedRecords !== undefined)
    await rebuildMetadata(tables, { isKnown: database.replayedRecords > 0, bundles: options.bundles?.() ?? [] });
  const scheduler: CollectionScheduler = resources.use(new CollectionScheduler(() => collect(tables), log));
  const { budgetBytes: limitBytes } = options;
  const budget: StoreBudget | undefined =
    limitBytes === undefined
      ? undefined
      : resources.use(
          new StoreBudget({ limitBytes, usage: () => storeUsage(tables), collect: () => scheduler.run(), log }),
        );
  return { ...tables, scheduler, refusedSnapshotters };
}
