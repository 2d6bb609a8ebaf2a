/** The example of the README, against Debian's containerd. */
import { expect, it } from 'vitest';
import { startContainerd } from '../../engine/test/harness/peers.ts';
import { SandboxHost } from '../../engine/test/harness/sandbox-host.ts';
import { runReadme } from '../../tooling/readme.ts';

it('runs the example of the README', async () => {
  await using host = new SandboxHost();
  const { socket } = await startContainerd(host);
  const output = runReadme(new URL('..', import.meta.url).pathname, { env: { CONTAINERD_ADDRESS: socket } });
  expect(output).toBe("[ 'overlayfs' ]\nhello\nnotFound\n");
});
