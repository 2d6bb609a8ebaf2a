/**
 * The object graph of containerd, as garbage collection sees it (one namespace at a time).
 *
 * Roots: leases that have not expired, with what they hold; images; containers; blobs and snapshots labelled
 * `containerd.io/gc.root`; ingests younger than a day. Edges: labels `containerd.io/gc.ref.content*` and
 * `containerd.io/gc.ref.snapshot.<snapshotter>*`, a snapshot's parent, an ingest's expected digest. What a flat lease
 * (`containerd.io/gc.flat`) holds is kept without following labels.
 */
export interface Node {
  readonly type: 'content' | 'snapshot' | 'ingest';
  /** For snapshots `<snapshotter>/<key>`. */
  readonly name: string;
  readonly isFlat?: boolean;
}

export const nodeKey = (node: Node): string => `${node.type} ${node.name}`;

const contentPrefix = 'containerd.io/gc.ref.content';
const snapshotPrefix = 'containerd.io/gc.ref.snapshot.';

/** The objects that a set of labels refers to. */
export function* labelEdges(labels: Readonly<Record<string, string>>): Iterable<Node> {
  for (const [key, value] of Object.entries(labels)) {
    if (key === contentPrefix || key.startsWith(`${contentPrefix}.`) || key.startsWith(`${contentPrefix}/`)) {
      yield { type: 'content', name: value };
    } else if (key.startsWith(snapshotPrefix)) {
      const snapshotter = key.slice(snapshotPrefix.length).split('/')[0] ?? '';
      yield { type: 'snapshot', name: `${snapshotter}/${value}` };
    }
  }
}

export const isRoot = (labels: Readonly<Record<string, string>>): boolean => 'containerd.io/gc.root' in labels;

/** True when the label names a time that has passed; a malformed time never expires. */
export function isExpired(labels: Readonly<Record<string, string>>, now: number): boolean {
  const time = Date.parse(labels['containerd.io/gc.expire'] ?? '');
  return Number.isFinite(time) && time < now;
}
