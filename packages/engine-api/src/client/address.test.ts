import { expect, it } from 'vitest';
import { parseEngineHost } from './address.ts';
import { encodeQuery } from './transport.ts';

it.each([
  ['unix:///run/d.sock', { kind: 'unix', path: '/run/d.sock' }],
  ['/run/d.sock', { kind: 'unix', path: '/run/d.sock' }],
  ['tcp://h:1', { kind: 'tcp', host: 'h', port: 1, basePath: '' }],
  ['tcp://[::1]:2375/base/', { kind: 'tcp', host: '::1', port: 2375, basePath: '/base' }],
])('%s', (text, address) => {
  expect(parseEngineHost(text)).toEqual(address);
});

it.each(['', 'unix://', 'npipe:////./pipe', 'tcp://'])('refuses %j', (text) => {
  expect(() => parseEngineHost(text)).toThrow('unable to parse docker host');
});

it('writes queries as Docker does', () => {
  expect(
    encodeQuery({
      all: true,
      t: 0,
      none: undefined,
      off: false,
      names: ['a', 'b'],
      filters: { label: { 'a=b': true } },
    }),
  ).toBe('?all=1&t=0&off=0&names=a&names=b&filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D');
  expect(encodeQuery({})).toBe('');
});
