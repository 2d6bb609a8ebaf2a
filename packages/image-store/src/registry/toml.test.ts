import { BoxshipError } from '@boxship/base';
import { describe, expect, it } from 'vitest';
import { parseToml } from './toml.ts';

const sample = `
# a comment
server = "https://registry-1.docker.io"   # another
number = 1_000
[host."https://mirror.example:5000"]
  capabilities = ["pull", 'resolve',]
  skip_verify = true
  client = [["/a.cert", "/a.key"],
            ["/b.cert", "/b.key"]]
  [host."https://mirror.example:5000".header]
    x-custom-2 = ["a", "b"]
    "quoted \\u00e9" = "v"
[host.'http://plain']
ca = "ca.crt"
`;

describe('the TOML of hosts.toml', () => {
  it('reads tables, quoted keys, nested arrays', () => {
    expect(JSON.parse(JSON.stringify(parseToml(sample)))).toEqual({
      server: 'https://registry-1.docker.io',
      number: 1000,
      host: {
        'https://mirror.example:5000': {
          capabilities: ['pull', 'resolve'],
          skip_verify: true,
          client: [
            ['/a.cert', '/a.key'],
            ['/b.cert', '/b.key'],
          ],
          header: { 'x-custom-2': ['a', 'b'], 'quoted é': 'v' },
        },
        'http://plain': { ca: 'ca.crt' },
      },
    });
  });
  it.each([
    ['a = 1\na = 2', 'hosts.toml:2: a is given twice'],
    ['a = "x', 'hosts.toml:1: expected a string'],
    ['a = 1 b = 2', 'hosts.toml:1: expected the end of the line'],
    ['a = [1', 'hosts.toml:1: expected "," or "]"'],
    ['[a]\nb = what', 'hosts.toml:2: unknown value what'],
    ['a = 1\n[a]', 'hosts.toml:2: a is no table'],
    ['= 1', 'hosts.toml:1: expected a key'],
  ])('refuses %j', (text, message) => expect(() => parseToml(text, 'hosts.toml')).toThrow(message));

  it('cannot be made to touch prototypes', () => {
    parseToml('[__proto__]\npolluted = true');
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('fails only by its own errors', () => {
    let state = 7;
    const next = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (let round = 0; round < 3000; round++) {
      const characters = [...sample];
      for (let count = 1 + next(5); count > 0; count--)
        characters[next(characters.length)] = String.fromCharCode(next(128));
      try {
        parseToml(characters.join(''));
      } catch (error) {
        expect(BoxshipError.is(error, 'invalidArgument')).toBe(true);
      }
    }
  });
});
