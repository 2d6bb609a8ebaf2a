/** The objects of a namespace and what keeps them: filled object by object, then asked what can be reached. */
import { reachable } from './mark-sweep.ts';
import { labelEdges, type Node, nodeKey } from './references.ts';

export interface GraphObject {
  readonly node: Node;
  readonly labels?: Readonly<Record<string, string>>;
  /** What it needs by its nature. */
  readonly needs?: readonly Node[];
  readonly isRoot: boolean;
}

export class ObjectGraph {
  readonly #objects = new Map<string, GraphObject>();
  readonly #roots: Node[] = [];
  /** Who belongs to an object, by that object's key. */
  readonly #belongings = new Map<string, Node[]>();

  add(object: GraphObject): void {
    const { node, labels = {}, isRoot } = object;
    this.#objects.set(nodeKey(node), object);
    if (isRoot) this.#roots.push(node);
    for (const owner of labelEdges(labels, 'bref')) {
      const key = nodeKey(owner);
      const known = this.#belongings.get(key);
      if (known === undefined) this.#belongings.set(key, [node]);
      else known.push(node);
    }
  }

  /** Keeps what may or may not be there. */
  hold(node: Node): void {
    this.#roots.push(node);
  }

  /** Keys of everything that is kept. */
  reached(): ReadonlySet<string> {
    const edges = (node: Node) => this.#edges(node);
    // apart: what a flat lease holds may be held by others in full
    const flat = this.#roots.filter((root) => root.isFlat === true);
    const full = this.#roots.filter((root) => root.isFlat !== true);
    return new Set([...reachable(full, nodeKey, edges), ...reachable(flat, nodeKey, edges)]);
  }

  *#edges(node: Node): Iterable<Node> {
    const key = nodeKey(node);
    const object = this.#objects.get(key);
    if (object === undefined) return;
    if (node.isFlat === true) {
      for (const need of object.needs ?? []) yield { ...need, isFlat: true };
      return;
    }
    yield* object.needs ?? [];
    yield* labelEdges(object.labels ?? {});
    yield* this.#belongings.get(key) ?? [];
  }
}
