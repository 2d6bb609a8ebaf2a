/** Reachability, free of any domain: everything that can be reached from the roots over the edges. */
export function reachable<Node>(
  roots: Iterable<Node>,
  keyOf: (node: Node) => string,
  edgesOf: (node: Node) => Iterable<Node>,
): Set<string> {
  const seen = new Set<string>();
  const grey: Node[] = [...roots];
  for (let node = grey.pop(); node !== undefined; node = grey.pop()) {
    const key = keyOf(node);
    if (seen.has(key)) continue;
    seen.add(key);
    grey.push(...edgesOf(node));
  }
  return seen;
}
