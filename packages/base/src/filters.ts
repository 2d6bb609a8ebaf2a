/**
 * containerd's filter grammar: `name==foo`, `labels."a.b/c"~=^x`, `status!=stopped,id`. Selectors of one filter are ANDed,
 * several filters are ORed, the empty filter matches everything, an unknown field does not match.
 *
 *   filter = selector *("," selector)   selector = fieldpath [op value]   op = "==" | "!=" | "~="
 */
import { BoxshipError } from './errors.ts';

/** The value at a field path: undefined when there is no such field, else its text (presence is a non-empty text). */
export type FieldLookup = (path: readonly string[]) => string | undefined;
export type FilterPredicate = (lookup: FieldLookup) => boolean;

type Operator = '==' | '!=' | '~=';

/** Compiles filters. @throws invalidArgument naming the position */
export function parseFilters(filters: readonly string[]): FilterPredicate {
  if (filters.length === 0) return () => true;
  const compiled = filters.map(parseFilter);
  return (lookup) => compiled.some((filter) => filter(lookup));
}

function parseFilter(source: string): FilterPredicate {
  const text = source.trim();
  if (text === '') return () => true;
  const selectors: FilterPredicate[] = [];
  let at = 0;
  const fail = (what: string): never => {
    const marked = `${text.slice(0, at)} >|${text.slice(at, at + 1)}|< ${text.slice(at + 1)}`;
    throw new BoxshipError('invalidArgument', `filters: parse error: [${at < text.length ? marked : text}]: ${what}`);
  };
  const quoted = (closers: string): string | undefined => {
    const open = text[at];
    if (open === undefined || !closers.includes(open)) return undefined;
    let end = at + 1;
    while (end < text.length && text[end] !== open) end += text[end] === '\\' ? 2 : 1;
    if (end >= text.length) fail('quoted literal not terminated');
    const raw = text.slice(at + 1, end);
    at = end + 1;
    if (open !== '"') return raw.replaceAll(`\\${open}`, open);
    try {
      return JSON.parse(`"${raw}"`) as string;
    } catch {
      return fail('bad escape in quoted string');
    }
  };
  const field = (): string => {
    const inQuotes = quoted('"');
    if (inQuotes !== undefined) return inQuotes;
    const match = /^[A-Za-z][A-Za-z0-9_]*/.exec(text.slice(at));
    if (match === null) return fail('expected field or quoted');
    at += match[0].length;
    return match[0];
  };
  for (;;) {
    const path = [field()];
    while (text[at] === '.') {
      at++;
      path.push(field());
    }
    while (text[at] === ' ') at++;
    if (at >= text.length || text[at] === ',') {
      selectors.push((lookup) => (lookup(path) ?? '') !== '');
    } else {
      const operator = /^[=!~]+/.exec(text.slice(at))?.[0] ?? fail(notAnOperator(text.slice(at)));
      if (operator !== '==' && operator !== '!=' && operator !== '~=')
        fail(`unsupported operator ${JSON.stringify(operator)}`);
      at += operator.length;
      while (text[at] === ' ') at++;
      if (operator !== '~=' && /^[/|]/.test(text.slice(at))) fail('invalid quote encountered');
      const inQuotes = quoted(operator === '~=' ? '"/|' : '"');
      const value = inQuotes ?? /^[^\s,]+/.exec(text.slice(at))?.[0] ?? fail('expected value or quoted');
      if (inQuotes === undefined) at += value.length;
      selectors.push(selector(path, operator as Operator, value, fail));
    }
    while (text[at] === ' ') at++;
    if (at >= text.length) break;
    if (text[at] !== ',') fail('expected a comma');
    at++;
    while (text[at] === ' ') at++;
  }
  return (lookup) => selectors.every((matches) => matches(lookup));
}

/** In the words of containerd's scanner, which takes `/` and `|` for quotes wherever they stand. */
function notAnOperator(rest: string): string {
  const quote = rest[0] ?? '';
  return '"/|'.includes(quote) && !rest.slice(1).includes(quote)
    ? 'quoted literal not terminated'
    : 'expected an operator ("=="|"!="|"~=")';
}

function selector(path: string[], operator: Operator, value: string, fail: (what: string) => never): FilterPredicate {
  if (operator === '==') return (lookup) => lookup(path) === value;
  if (operator === '!=') return (lookup) => lookup(path) !== value;
  let expression: RegExp;
  try {
    expression = new RegExp(value);
  } catch {
    return fail('bad regular expression');
  }
  return (lookup) => {
    const found = lookup(path);
    return found !== undefined && expression.test(found);
  };
}
