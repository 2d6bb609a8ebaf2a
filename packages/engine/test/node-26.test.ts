/** The next Node line: the whole engine and its client on it, and the tests of the packages that every other stands on. */
import { execFile } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { importBusybox, startEngineUnderTest } from './harness/engine-under-test.ts';
import { SandboxHost } from './harness/sandbox-host.ts';

const root = new URL('../../..', import.meta.url).pathname;
const node = join(root, 'packages/tooling/node_modules/node-26/bin/node');
const run = promisify(execFile);

// there is an npm package of it for this processor only
describe.skipIf(!existsSync(node))('Node 26', () => {
  it('runs the engine: start, streams, exec, port, stop', async () => {
    await using host = new SandboxHost();
    const engine = await startEngineUnderTest(host, { node: realpathSync(node) });
    await importBusybox(host, engine);
    expect(await engine.mustDocker(['run', '--rm', 'busybox', 'echo', 'hi'])).toBe('hi\n');
    expect(
      (await engine.docker(['run', '-i', '--rm', 'busybox', 'wc', '-c'], { input: 'x'.repeat(100_000) })).stdout.trim(),
    ).toBe('100000');
    await engine.mustDocker([
      'run',
      '-d',
      '-t',
      '--name',
      'web',
      '-p',
      '8080:80',
      'busybox',
      'httpd',
      '-f',
      '-h',
      '/var/www',
    ]);
    expect(await host.must('curl', ['-s', '--retry', '5', '--retry-connrefused', 'http://127.0.0.1:8080/'])).toBe(
      'hello-from-busybox\n',
    );
    expect(await engine.mustDocker(['exec', 'web', 'echo', 'in'])).toBe('in\n');
    expect(await engine.mustDocker(['version', '-f', '{{.Server.GoVersion}}'])).toMatch(/^v26\./);
    await engine.mustDocker(['rm', '-f', 'web']);
  });

  it.each(['base', 'oci', 'go-template', 'ttrpc', 'linux', 'runc-wrapper', 'archive'])(
    'passes the tests of %s',
    async (name) => {
      const vitest = join(root, 'node_modules/vitest/vitest.mjs');
      const { stdout } = await run(realpathSync(node), [vitest, 'run', '--reporter=dot'], {
        cwd: join(root, 'packages', name),
        timeout: 120_000,
      });
      expect(stdout).toMatch(/Tests .*passed/);
    },
    150_000,
  );
});
