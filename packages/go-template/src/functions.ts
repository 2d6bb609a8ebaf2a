/** Go's predefined template functions, and docker's additions. */
import { BoxshipError } from '@boxship/base';
import { sprintf } from './printf.ts';
import { isTrue, print, show, toJson } from './value.ts';

export type TemplateFunction = (...args: readonly unknown[]) => unknown;

const fail = (what: string): never => {
  throw new BoxshipError('invalidArgument', what);
};

function compare(a: unknown, b: unknown): number {
  const isOrdered = (value: unknown) =>
    typeof value === 'number' || typeof value === 'string' || typeof value === 'bigint';
  if (!isOrdered(a) || !isOrdered(b) || (typeof a === 'string') !== (typeof b === 'string'))
    return fail('incompatible types for comparison');
  return (a as string) < (b as string) ? -1 : (a as string) > (b as string) ? 1 : 0;
}

function isEqual(a: unknown, b: unknown): boolean {
  if (a === b || (a ?? null) === (b ?? null)) return true;
  if (a === undefined || a === null || b === undefined || b === null) return false;
  if (typeof a !== typeof b) return fail('incompatible types for comparison');
  return false;
}

function length(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === 'object' && value !== null) return Object.keys(value).length;
  return fail(value === undefined || value === null ? 'len of nil pointer' : `len of type ${typeof value}`);
}

function index(...args: readonly unknown[]): unknown {
  let [value] = args;
  for (const key of args.slice(1)) {
    if (value === undefined || value === null) return fail('index of untyped nil');
    if (Array.isArray(value)) {
      if (typeof key !== 'number') return fail(`cannot index slice/array with type ${typeof key}`);
      if (key < 0 || key >= value.length) return fail(`error calling index: index out of range: ${key}`);
      value = (value as unknown[])[key];
    } else if (typeof value === 'object') {
      // the zero value of an absent key prints as nothing, as for map[string]string
      value = Object.hasOwn(value, String(key)) ? (value as Record<string, unknown>)[String(key)] : '';
    } else if (typeof value === 'string' && typeof key === 'number') {
      value = Buffer.from(value)[key];
    } else return fail(`can't index item of type ${typeof value}`);
  }
  return value;
}

function slice(...args: readonly unknown[]): unknown {
  const [value, from, to] = args as [unknown, number | undefined, number | undefined];
  if (typeof value === 'string') return Buffer.from(value).subarray(from, to).toString();
  if (Array.isArray(value)) return value.slice(from, to);
  return fail(`can't slice item of type ${typeof value}`);
}

const text = (value: unknown): string => (typeof value === 'string' ? value : show(value));
const htmlEscapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
  '\0': '\uFFFD',
};

/** Arguments are values in Go's order: in `x | f a`, `x` comes last. */
export const functions: Readonly<Record<string, TemplateFunction>> = {
  and: (...args) => args.find((value) => !isTrue(value)) ?? args.at(-1),
  or: (...args) => args.find(isTrue) ?? args.at(-1),
  not: (value) => !isTrue(value),
  eq: (first, ...others) =>
    others.length === 0 ? fail('missing argument for comparison') : others.some((other) => isEqual(first, other)),
  ne: (a, b) => !isEqual(a, b),
  lt: (a, b) => compare(a, b) < 0,
  le: (a, b) => compare(a, b) <= 0,
  gt: (a, b) => compare(a, b) > 0,
  ge: (a, b) => compare(a, b) >= 0,
  len: length,
  index,
  slice,
  print: (...args) => print(args),
  println: (...args) => `${args.map(show).join(' ')}\n`,
  printf: (format, ...args) => sprintf(text(format), args),
  html: (...args) => print(args).replace(/[&<>"'\0]/g, (c) => htmlEscapes[c] ?? c),
  js: (...args) =>
    print(args).replace(/['"\\<>&=\n]/g, (c) =>
      c === '\n' ? '\\n' : /['"\\]/.test(c) ? `\\${c}` : `\\u00${c.charCodeAt(0).toString(16).toUpperCase()}`,
    ),
  urlquery: (...args) => encodeURIComponent(print(args)).replaceAll('%20', '+'),
  call: (f, ...args) => (typeof f === 'function' ? (f as TemplateFunction)(...args) : fail('non-function in call')),
  json: toJson,
  split: (value, separator) => text(value).split(text(separator)),
  join: (values, separator) =>
    Array.isArray(values) ? values.map(text).join(text(separator)) : fail('join: first argument must be a list'),
  title: (value) => text(value).replace(/(^|\s)\S/g, (c) => c.toUpperCase()),
  lower: (value) => text(value).toLowerCase(),
  upper: (value) => text(value).toUpperCase(),
  pad: (value, before, after) =>
    text(value) === '' ? '' : `${' '.repeat(Number(before))}${text(value)}${' '.repeat(Number(after))}`,
  truncate: (value, count) => [...text(value)].slice(0, Number(count)).join(''),
};
