/** The `filters` parameter: `{"key":{"value":true}}` or, from old clients, `{"key":["value"]}`. */
import { BoxshipError } from '@boxship/base';

export type ApiFilters = ReadonlyMap<string, readonly string[]>;

const maxBytes = 64 * 1024;
const maxPatternLength = 1024;

/** @throws invalidArgument for bad JSON or a key that is not `allowed` */
export function parseApiFilters(text: string | undefined, allowed: readonly string[]): ApiFilters {
  if (text === undefined || text === '') return new Map();
  const invalid = () => new BoxshipError('invalidArgument', `invalid filter '${text.slice(0, 200)}'`);
  if (text.length > maxBytes) throw new BoxshipError('invalidArgument', 'filters are too long');
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw invalid();
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw invalid();
  const filters = new Map<string, string[]>();
  for (const [key, value] of Object.entries(parsed)) {
    if (!allowed.includes(key)) throw new BoxshipError('invalidArgument', `invalid filter '${key}'`);
    if (Array.isArray(value)) filters.set(key, value.map(String));
    else if (typeof value === 'object' && value !== null)
      filters.set(
        key,
        Object.entries(value)
          .filter(([, isOn]) => isOn !== false)
          .map(([item]) => item),
      );
    else throw invalid();
    if (filters.get(key)?.length === 0) filters.delete(key);
  }
  return filters;
}

/** An unanchored pattern of the user's. One that is no pattern matches by being contained. */
export function matchesPattern(pattern: string, text: string): boolean {
  if (pattern.length > maxPatternLength || /[*+]\)[*+{]/.test(pattern)) return text.includes(pattern);
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return text.includes(pattern);
  }
}

/** All of `label`, none of `label!`: `key` or `key=value`. */
export function matchesLabels(filters: ApiFilters, labels: Readonly<Record<string, string>> | null): boolean {
  const has = (wanted: string): boolean => {
    const [key = '', value] = wanted.split(/=(.*)/s, 2);
    if (labels === null || !Object.hasOwn(labels, key)) return false;
    return value === undefined || labels[key] === value;
  };
  return (filters.get('label') ?? []).every(has) && !(filters.get('label!') ?? []).some(has);
}

/** `true`, `1` … of filters such as `dangling`. @throws invalidArgument */
export function booleanFilter(filters: ApiFilters, key: string): boolean | undefined {
  const value = filters.get(key)?.[0];
  if (value === undefined) return undefined;
  if (/^(1|t|true)$/i.test(value)) return true;
  if (/^(0|f|false)$/i.test(value)) return false;
  throw new BoxshipError('invalidArgument', `invalid filter '${key}=${value}'`);
}
