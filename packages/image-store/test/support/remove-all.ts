import type { Snapshotter } from '../../src/snapshots/snapshotter.ts';

/** Removes every snapshot, leaves first. */
export async function removeAll(snapshotter: Snapshotter): Promise<void> {
  for (;;) {
    const infos = await Array.fromAsync(snapshotter.list());
    if (infos.length === 0) return;
    const parents = new Set(infos.map(({ parent }) => parent));
    for (const { name } of infos) if (!parents.has(name)) await snapshotter.remove(name);
  }
}
