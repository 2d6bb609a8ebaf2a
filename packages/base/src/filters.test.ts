import { describe, expect, it } from 'vitest';
import { type FieldLookup, parseFilters } from './filters.ts';

type Tree = { readonly [key: string]: string | Tree };

const lookupIn =
  (tree: Tree): FieldLookup =>
  (path) => {
    let at: string | Tree | undefined = tree;
    for (const key of path) at = typeof at === 'object' ? at[key] : undefined;
    return typeof at === 'string' ? at : undefined;
  };

const object = lookupIn({
  id: 'web',
  name: 'docker.io/library/nginx:1',
  empty: '',
  labels: { env: 'prod', 'very.long/name': 'a,b', quote: 'say "hi"' },
});

describe('one filter', () => {
  it.each([
    ['', true],
    ['id==web', true],
    ['id == web', true],
    ['id==db', false],
    ['id!=db', true],
    ['id!=web', false],
    ['id', true],
    ['empty', false],
    ['absent', false],
    ['absent!=x', true],
    ['absent==x', false],
    ['absent~=.*', false],
    ['name~=nginx', true],
    ['name~=^nginx', false],
    ['name~=/library\\/nginx/', true],
    ['name~=|library/ng.nx|', true],
    ['labels.env==prod', true],
    ['labels."very.long/name"=="a,b"', true],
    ['labels.quote=="say \\"hi\\""', true],
    ['labels.very', false],
    ['id==web,labels.env==prod', true],
    ['id==web,labels.env==test', false],
    ['id==web, labels.env', true],
  ])('%s is %s', (filter, expected) => {
    expect(parseFilters([filter])(object)).toBe(expected);
  });
});

describe('several filters', () => {
  it('match when one of them does; none at all match everything', () => {
    expect(parseFilters(['id==a', 'id==web'])(object)).toBe(true);
    expect(parseFilters(['id==a', 'id==b'])(object)).toBe(false);
    expect(parseFilters([])(object)).toBe(true);
  });
});

describe('what is no filter', () => {
  it.each([
    ['id=web', 'unsupported operator "="'],
    ['id===web', 'unsupported operator "==="'],
    ['id>web', 'expected an operator ("=="|"!="|"~=")'],
    ['id==/a/', 'invalid quote encountered'],
    ['labels.a/b==c', 'quoted literal not terminated'],
    ['id==', 'expected value or quoted'],
    ['==web', 'expected field or quoted'],
    ['id==a,', 'expected field or quoted'],
    ['id=="a', 'quoted literal not terminated'],
    ['id=="a"b', 'expected a comma'],
    ['labels.', 'expected field or quoted'],
    ['1d==a', 'expected field or quoted'],
    ['id~=(', 'bad regular expression'],
    ['id=="\\q"', 'bad escape in quoted string'],
  ])('%s: %s', (filter, reason) => {
    let error: unknown;
    try {
      parseFilters([filter]);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ kind: 'invalidArgument', message: expect.stringContaining(reason) });
  });

  it('shows where: what was read stands before the mark', () => {
    expect(() => parseFilters(['id==a;b'])).not.toThrow();
    expect(() => parseFilters(['id==a b'])).toThrow('filters: parse error: [id==a  >|b|< ]: expected a comma');
  });
});

it('a value in quotes means itself, whatever it is made of', () => {
  const characters = ['a', '"', '\\', ',', '=', ' ', '.', '/', '|', 'é', '\n', '~', '!'];
  for (const a of characters)
    for (const b of characters)
      for (const c of characters) {
        const value = `${a}${b}${c}`;
        const filter = parseFilters([`id==${JSON.stringify(value)},x.${JSON.stringify(value)}`]);
        expect([value, filter(lookupIn({ id: value, x: { [value]: '1' } }))]).toEqual([value, true]);
        expect([value, filter(lookupIn({ id: `${value}.`, x: { [value]: '1' } }))]).toEqual([value, false]);
      }
});
