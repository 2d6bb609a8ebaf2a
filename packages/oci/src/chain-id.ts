/**
 * Chain ids name a stack of layers: chain(1) = diff(1), chain(n) = sha256(chain(n-1) + " " + diff(n)), both in their textual
 * form (OCI image-spec, "layer chain id"). Committed snapshots carry them as names.
 */
import { type Digest, digestOf } from './digest.ts';

/** The chain id of each prefix of the layers, bottom first. */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}

/** The chain id of the whole stack; undefined for an image without layers. */
export const chainId = (diffIds: readonly Digest[]): Digest | undefined => chainIds(diffIds).at(-1);
