/** What a container occupies: its own changes, and everything it can see. Bytes. */
import type { Parts } from '../parts.ts';
import type { Container } from './model.ts';

export interface ContainerSizes {
  readonly writable: number;
  readonly total: number;
}

export async function containerSizes(parts: Parts, container: Container): Promise<ContainerSizes> {
  const { snapshotter } = container.record;
  const own = await parts.containerd.snapshots.usage({ snapshotter, key: container.id });
  const writable = Number(own.size);
  return { writable, total: writable + (await chainSize(parts, snapshotter, container.id)) };
}

/** Sum of the committed snapshots below `key`. They never change, so each is asked once. */
export async function chainSize(parts: Parts, snapshotter: string, key: string): Promise<number> {
  const { info } = await parts.containerd.snapshots.stat({ snapshotter, key });
  return info === undefined || info.parent === '' ? 0 : await committedSize(parts, snapshotter, info.parent);
}

const known = new Map<string, { readonly size: number; readonly parent: string }>();

export async function committedSize(parts: Parts, snapshotter: string, name: string): Promise<number> {
  let total = 0;
  for (let at = name; at !== ''; ) {
    const cacheKey = `${parts.config.containerdAddress} ${snapshotter} ${at}`;
    let entry = known.get(cacheKey);
    if (entry === undefined) {
      const [usage, stat] = await Promise.all([
        parts.containerd.snapshots.usage({ snapshotter, key: at }),
        parts.containerd.snapshots.stat({ snapshotter, key: at }),
      ]);
      entry = { size: Number(usage.size), parent: stat.info?.parent ?? '' };
      known.set(cacheKey, entry);
    }
    total += entry.size;
    at = entry.parent;
  }
  return total;
}
