/** `--filter key=value`, as the wire wants it. */
import { BoxshipError } from '@boxship/base';
import type { Filters } from '@boxship/engine-api';

/** @throws invalidArgument */
export function parseFilterFlags(values: readonly string[]): Filters {
  const filters: Record<string, Record<string, boolean>> = {};
  for (const value of values) {
    const at = value.indexOf('=');
    if (at < 0)
      throw new BoxshipError(
        'invalidArgument',
        `invalid argument "${value}" for "-f, --filter" flag: bad format of filter (expected name=value)`,
      );
    const key = value.slice(0, at).trim().toLowerCase();
    filters[key] = { ...filters[key], [value.slice(at + 1).trim()]: true };
  }
  return filters;
}
