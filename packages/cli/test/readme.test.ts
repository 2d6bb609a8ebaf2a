/** The example of the README, against Debian's dockerd. */
import { expect, it } from 'vitest';
import { importBusybox } from '../../engine/test/harness/engine-under-test.ts';
import { startDockerd } from '../../engine/test/harness/peers.ts';
import { SandboxHost } from '../../engine/test/harness/sandbox-host.ts';
import { runReadme } from '../../tooling/readme.ts';

it('runs the example of the README', async () => {
  await using host = new SandboxHost();
  const dockerd = await startDockerd(host);
  await importBusybox(host, dockerd);
  const env = { DOCKER_HOST: `unix://${dockerd.socket}` };
  const output = runReadme(new URL('..', import.meta.url).pathname, { env });
  expect(output).toBe('hello world\nexit code 7\nbusybox:latest\n');
});
