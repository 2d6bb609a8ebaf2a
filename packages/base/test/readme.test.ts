import { expect, it } from 'vitest';
import { runReadme } from '../../tooling/readme.ts';

it('runs the example of the README', () => {
  expect(runReadme(new URL('..', import.meta.url).pathname).split('\n')).toEqual([
    `404 { code: 5, message: 'no such container: web: not found' }`,
    'shim: runc create of web took longer than 20 ms',
    'db is not held up by web',
    'true',
    '',
  ]);
});
