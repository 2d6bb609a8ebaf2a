/**
 * What the workload promises its caller, said before and after each step, and what of it holds at a moment. A fact is a key
 * (`image a`, `whole a` for all that it consists of, `blob sha256:…`, `snapshot b`) with a text; null = it is not there.
 */
import type { Change } from './trace.ts';

export type Fact = string | null;

export interface Announcement {
  readonly is: 'begun' | 'done';
  /** More than one: what is promised is that it is one of them. */
  readonly facts: Readonly<Record<string, Fact | readonly Fact[]>>;
}

/** By key the values that a reader may see after a cut: one when it was acknowledged, two while it changes. */
export function factsAt(changes: readonly Change[], length: number): Map<string, readonly Fact[]> {
  const facts = new Map<string, readonly Fact[]>();
  for (const change of changes.slice(0, length)) {
    if (change.kind !== 'say') continue;
    const { is, facts: said } = JSON.parse(change.text) as Announcement;
    for (const [key, value] of Object.entries(said)) {
      const allowed = [value].flat();
      facts.set(key, is === 'done' ? allowed : [...(facts.get(key) ?? [null]), ...allowed]);
    }
  }
  return facts;
}
