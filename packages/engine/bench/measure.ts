/** Interleaved measurement: every round runs each variant once, so that load of the machine strikes all alike. */

export interface Variant {
  readonly name: string;
  readonly run: () => Promise<void>;
  /** Before each run; not measured. */
  readonly before?: () => Promise<void>;
}

export interface Measured {
  readonly name: string;
  /** Milliseconds, ascending. */
  readonly times: readonly number[];
}

/** @param rounds counted rounds; `warmUps` (default two) come first */
export async function measure(variants: readonly Variant[], rounds: number, warmUps = 2): Promise<Measured[]> {
  const times = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  for (let round = -warmUps; round < rounds; round++) {
    for (const { name, run, before } of variants) {
      await before?.();
      const start = performance.now();
      await run();
      if (round >= 0) times.get(name)?.push(performance.now() - start);
    }
  }
  return variants.map(({ name }) => ({ name, times: (times.get(name) ?? []).sort((a, b) => a - b) }));
}

/** The value below which the share `q` of the times lies. */
export function quantile(times: readonly number[], q: number): number {
  return times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN;
}
