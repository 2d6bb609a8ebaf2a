/**
 * Whose a link is: our links carry the alias `boxship:<instance>:<kind>:<id>`. Nothing without our alias is changed or removed,
 * so that engines and other programs live side by side in one namespace.
 */
export interface Ownership {
  aliasOf(kind: 'network' | 'endpoint', id: string): string;
  /** What one of our aliases says; undefined for other links. */
  parse(alias: string | undefined): { kind: string; id: string } | undefined;
  /** An engine's, but not ours. */
  isForeignEngine(alias: string | undefined): boolean;
}

export function ownershipOf(instanceId: string): Ownership {
  const prefix = `boxship:${instanceId}:`;
  return {
    aliasOf: (kind, id) => `${prefix}${kind}:${id}`,
    parse(alias) {
      if (alias?.startsWith(prefix) !== true) return undefined;
      const [kind = '', id = ''] = alias.slice(prefix.length).split(':');
      return { kind, id };
    },
    isForeignEngine: (alias) => alias?.startsWith('boxship:') === true && !alias.startsWith(prefix),
  };
}
