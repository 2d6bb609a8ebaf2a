/** Interleaved measurement: every round runs each variant once, so that load of the machine strikes all alike. */

export interface Variant {
  readonly name: string;
  readonly run: () => Promise<void>;
}

export interface Measured {
  readonly name: string;
  /** Milliseconds, ascending. */
  readonly times: readonly number[];
}

/** @param rounds counted rounds; two more warm up */
export async function measure(variants: readonly Variant[], rounds: number): Promise<Measured[]> {
  const times = new Map<string, number[]>(variants.map(({ name }) => [name, []]));
  for (let round = -2; round < rounds; round++) {
    for (const { name, run } of variants) {
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
