/**
 * The part of TOML 1.0 that `hosts.toml` uses: tables, dotted and quoted keys, strings, numbers, booleans, arrays. Dates,
 * inline tables and arrays of tables are refused.
 */
import { BoxshipError } from '@boxship/base';

export type TomlValue = string | number | boolean | TomlValue[] | TomlTable;
export interface TomlTable {
  [key: string]: TomlValue;
}

/** @throws invalidArgument with file and line */
export function parseToml(text: string, file = 'toml'): TomlTable {
  const root = emptyTable();
  let table = root;
  let at = 0;
  const fail = (what: string): never => {
    throw new BoxshipError('invalidArgument', `${file}:${text.slice(0, at).split('\n').length}: ${what}`);
  };
  const skip = (pattern: RegExp): void => {
    pattern.lastIndex = at;
    at += pattern.exec(text)?.[0].length ?? 0;
  };
  const take = (pattern: RegExp, what: string): string => {
    pattern.lastIndex = at;
    const match = pattern.exec(text)?.[0] ?? fail(`expected ${what}`);
    at += match.length;
    return match;
  };
  const basicString = (): string => {
    const raw = take(/"(?:[^"\\\n]|\\.)*"/y, 'a string');
    try {
      return JSON.parse(
        raw.replace(/\\U([0-9A-Fa-f]{8})/g, (_, hex: string) => String.fromCodePoint(Number.parseInt(hex, 16))),
      ) as string;
    } catch {
      return fail('bad escape in string');
    }
  };
  const string = (): string => (text[at] === "'" ? take(/'[^'\n]*'/y, 'a string').slice(1, -1) : basicString());
  const key = (): string[] => {
    const parts: string[] = [];
    for (;;) {
      skip(/[ \t]*/y);
      parts.push(text[at] === '"' || text[at] === "'" ? string() : take(/[A-Za-z0-9_-]+/y, 'a key'));
      skip(/[ \t]*/y);
      if (text[at] !== '.') return parts;
      at++;
    }
  };
  const value = (): TomlValue => {
    skip(/[ \t]*/y);
    const first = text[at];
    if (first === '"' || first === "'") return string();
    if (first === '[') {
      at++;
      const items: TomlValue[] = [];
      for (;;) {
        skip(/(?:[ \t\r\n]|#[^\n]*)*/y);
        if (text[at] === ']') {
          at++;
          return items;
        }
        items.push(value());
        skip(/(?:[ \t\r\n]|#[^\n]*)*/y);
        if (text[at] === ',') at++;
        else if (text[at] !== ']') fail('expected "," or "]"');
      }
    }
    const word = take(/[A-Za-z0-9_+.-]+/y, 'a value');
    if (word === 'true' || word === 'false') return word === 'true';
    const number = Number(word.replaceAll('_', ''));
    return Number.isNaN(number) ? fail(`unknown value ${word}`) : number;
  };
  const descend = (from: TomlTable, path: readonly string[]): TomlTable => {
    let current = from;
    for (const part of path) {
      current[part] ??= emptyTable();
      const next = current[part];
      if (typeof next !== 'object' || Array.isArray(next)) return fail(`${part} is no table`);
      current = next;
    }
    return current;
  };
  for (;;) {
    skip(/(?:[ \t\r\n]|#[^\n]*)*/y);
    if (at >= text.length) return root;
    if (text[at] === '[') {
      at++;
      table = descend(root, key());
      take(/\]/y, '"]"');
    } else {
      const path = key();
      take(/=/y, '"="');
      const own = descend(table, path.slice(0, -1));
      const last = path.at(-1) as string;
      if (Object.hasOwn(own, last)) fail(`${last} is given twice`);
      own[last] = value();
    }
    skip(/[ \t]*(?:#[^\n]*)?/y);
    if (at < text.length && !/[\r\n]/.test(text[at] as string)) fail('expected the end of the line');
  }
}

/** Without a prototype: a key may be called `__proto__`. */
const emptyTable = (): TomlTable => Object.create(null) as TomlTable;
