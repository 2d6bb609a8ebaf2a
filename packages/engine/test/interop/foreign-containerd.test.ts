/** Our parts under Debian's containerd, old and new: our shim as its runtime, our daemon on its socket. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { busyboxTar, type EngineUnderTest, importBusybox, startEngineUnderTest } from '../harness/engine-under-test.ts';
import { generations } from '../harness/generations.ts';
import { type Peer, startContainerd } from '../harness/peers.ts';
import { SandboxHost } from '../harness/sandbox-host.ts';

describe.each(generations)('containerd $containerd', ({ env, missing }) => {
  let host: SandboxHost;
  let peer: Peer;
  let engine: EngineUnderTest;

  beforeAll(async () => {
    if (missing !== undefined) return;
    host = new SandboxHost();
    peer = await startContainerd(host, env);
    engine = await startEngineUnderTest(host, { args: ['--containerd', peer.socket] });
    await importBusybox(host, engine);
  });
  afterAll(async () => await host?.[Symbol.asyncDispose]());
  beforeEach((context) => context.skip(missing !== undefined, missing));

  describe('our daemon on it', () => {
    it('imports, runs, execs, logs and stops', async () => {
      expect(await engine.docker(['run', '--rm', 'busybox', 'sh', '-c', 'echo foreign; exit 3'])).toMatchObject({
        code: 3,
        stdout: 'foreign\n',
      });
      await engine.mustDocker([
        'run',
        '-d',
        '--name',
        'long',
        '-p',
        '8088:80',
        'busybox',
        'sh',
        '-c',
        'echo up; exec httpd -f -h /var/www',
      ]);
      expect(await host.must('curl', ['-s', '--retry', '5', '--retry-connrefused', 'http://127.0.0.1:8088/'])).toBe(
        'hello-from-busybox\n',
      );
      expect(await engine.mustDocker(['exec', 'long', 'echo', 'in'])).toBe('in\n');
      expect(await engine.mustDocker(['logs', 'long'])).toBe('up\n');
      await engine.mustDocker(['stop', '-t', '1', 'long']);
      await engine.mustDocker(['rm', 'long']);
    });
  });

  describe('our shim under it', () => {
    it('runs what ctr asks for', async () => {
      const shim = programPath('containerd-shim-boxship-v2');
      const ctr = (args: readonly string[]) =>
        host.run('ctr', ['--address', peer.socket, '--namespace', 'moby', ...args], {
          env: { PATH: `${process.execPath.replace(/\/node$/, '')}:${env['PATH'] ?? process.env['PATH'] ?? ''}` },
        });
      const [image = ''] = (await ctr(['images', 'ls', '-q'])).stdout
        .split('\n')
        .filter((name) => name.includes('busybox'));
      expect(busyboxTar(host)).not.toBe('');
      const result = await ctr(['run', '--rm', '--runtime', shim, image, 'own', 'sh', '-c', 'echo own-shim; exit 6']);
      expect(result).toMatchObject({ code: 6, stdout: 'own-shim\n' });
    });
  });
});
