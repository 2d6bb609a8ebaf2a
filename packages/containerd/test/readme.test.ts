import { expect, it } from 'vitest';
import { runReadme } from '../../tooling/readme.ts';
import { containerdVersion } from '../src/version.ts';

it('runs the example of the README', () => {
  const output = runReadme(new URL('..', import.meta.url).pathname);
  expect(output).toMatch(/^overlay \d\nfailedPrecondition\n/);
  expect(output.split('\n')[2]).toBe(containerdVersion);
});
