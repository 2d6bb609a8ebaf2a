/** The example of the README, in a network namespace of its own. */
import { readdirSync, rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { runReadme } from '../../tooling/readme.ts';
import { processesWith } from './harness/engine-under-test.ts';
import { SandboxHost } from './harness/sandbox-host.ts';

it('runs the example of the README, and nothing of it stays', async () => {
  await using host = new SandboxHost();
  const output = runReadme(new URL('..', import.meta.url).pathname, {
    within: ['nsenter', `--net=/run/netns/${host.name}`],
  });
  expect(output).toBe('3 hello from web\n4\n');
  expect(processesWith('/tmp/engine-example-')).toEqual([]);
  expect(readdirSync('/tmp').filter((name) => name.startsWith('engine-example-'))).toEqual([]);
});

it('runs the example on the front page', async () => {
  await using host = new SandboxHost();
  rmSync('/tmp/ci', { recursive: true, force: true });
  const engine = resolve(import.meta.dirname, '..');
  const within = ['nsenter', `--net=/run/netns/${host.name}`];
  expect(runReadme(resolve(engine, '../..'), { within, resolveFrom: engine })).toBe('it ended with 0\n');
  expect(processesWith('/tmp/ci/')).toEqual([]);
  rmSync('/tmp/ci', { recursive: true });
});
