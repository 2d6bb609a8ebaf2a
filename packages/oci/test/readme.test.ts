import { expect, it } from 'vitest';
import { runReadme } from '../../tooling/readme.ts';

it('runs the example of the README', () => {
  expect(runReadme(new URL('..', import.meta.url).pathname)).toMatch(
    /^docker\.io\/library\/busybox:latest busybox:latest\narm64\nsha256:[0-9a-f]{64}\n$/,
  );
});
