import { expect, it } from 'vitest';
import { runReadme } from '../../tooling/readme.ts';

it('runs the example of the README', () => {
  expect(runReadme(new URL('..', import.meta.url).pathname)).toBe(
    "[ 'lo 65536', 'br0 1400' ]\ntrue true false\nR true\n",
  );
});
