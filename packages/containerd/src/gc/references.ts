/**
 * The object graph of containerd, as garbage collection sees it (one namespace at a time).
 *
 * Roots: leases that have not expired, with what they hold; images that have not; containers; blobs and snapshots labelled
 * `containerd.io/gc.root`; ingests younger than a day. Edges: labels `containerd.io/gc.ref.content*`, `.image*` and
 * `.snapshot.<snapshotter>*` of an object to what it needs, labels `containerd.io/gc.bref.container*`, `.content*`, `.image*` and
 * `.snapshot.<snapshotter>*` to whom an object belongs (a signature to what is signed), an image's target, a container's snapshot,
 * a snapshot's parent, an ingest's expected digest. What a flat lease (`containerd.io/gc.flat`) holds is kept without following
 * labels.
 */
export interface Node {
  readonly type: 'content' | 'snapshot' | 'ingest' | 'image' | 'container';
  /** For snapshots `<snapshotter>/<key>`. */
  readonly name: string;
  readonly isFlat?: boolean;
}

export const nodeKey = (node: Node): string => `${node.type} ${node.name}`;

type Labels = Readonly<Record<string, string>>;

const reference = /^containerd\.io\/gc\.(ref|bref)\.(content|image|container|snapshot)(?:[./](.*))?$/;

/** The objects that a set of labels names: those that are needed (`ref`), or those that it belongs to (`bref`). */
export function* labelEdges(labels: Labels, direction: 'ref' | 'bref' = 'ref'): Iterable<Node> {
  for (const [key, value] of Object.entries(labels)) {
    const [, way, type, rest = ''] = reference.exec(key) ?? [];
    if (way !== direction) continue;
    if (type === 'content' || type === 'image') yield { type, name: value };
    // nothing makes a container live but its owner
    else if (type === 'container' && direction === 'bref') yield { type, name: value };
    else if (type === 'snapshot' && rest !== '') yield { type, name: `${rest.split('/')[0] ?? ''}/${value}` };
  }
}

export const isRoot = (labels: Labels): boolean => 'containerd.io/gc.root' in labels;

/** True when the label names a time that has passed; a malformed time never expires. */
export function isExpired(labels: Labels, now: number): boolean {
  const time = Date.parse(labels['containerd.io/gc.expire'] ?? '');
  return Number.isFinite(time) && time < now;
}
