import { expect, it } from 'vitest';
import { runReadme } from '../../tooling/readme.ts';

it('runs the example of the README', () => {
  const lines = runReadme(new URL('..', import.meta.url).pathname).split('\n');
  expect(lines.slice(0, 3)).toEqual([
    "{ containerId: 'web', execId: '' } /containerd.services.tasks.v1.Tasks/Start",
    'containerd.events.TaskExit 137',
    "{ ociVersion: '1.0.2' }",
  ]);
  expect(lines[3]).toMatch(/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
});
