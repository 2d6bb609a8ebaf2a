/** skopeo, old and new, between a registry, our engine and archives: what comes out again has the digests that went in. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EngineUnderTest, startEngineUnderTest } from '../harness/engine-under-test.ts';
import { generations } from '../harness/generations.ts';
import { startRegistry } from '../harness/peers.ts';
import { SandboxHost } from '../harness/sandbox-host.ts';
import { makeTestImage, pushTestImage, type TestImage } from '../harness/test-image.ts';

let host: SandboxHost;
let engine: EngineUnderTest;
let image: TestImage;
const from = 'docker://127.0.0.1:5000/box:1';

beforeAll(async () => {
  host = new SandboxHost();
  [engine] = await Promise.all([startEngineUnderTest(host), startRegistry(host)]);
  image = makeTestImage(host);
  await pushTestImage(host, image, '127.0.0.1:5000/box:1');
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

describe.each(generations)('skopeo $skopeo', ({ env, missing, debian }) => {
  beforeEach((context) => context.skip(missing !== undefined, missing));
  const copy = (...args: string[]) =>
    host.must('skopeo', ['copy', '--insecure-policy', '--src-tls-verify=false', '--dest-tls-verify=false', ...args], {
      env,
    });
  /** The configuration says which layers an image has: its digest is the image's identity wherever it lies. */
  const configOf = async (...args: string[]): Promise<string> =>
    await host.must('skopeo', ['inspect', '--config', '--raw', '--tls-verify=false', ...args], { env });

  it('puts an image into the engine and takes it out again', async () => {
    const daemon = `unix://${engine.socket}`;
    await copy('--dest-daemon-host', daemon, from, 'docker-daemon:box:in');
    expect(await engine.mustDocker(['run', '--rm', 'box:in', 'cat', '/etc/motd'])).toBe('upper\n');
    const config = await configOf(from);
    expect(await configOf('--daemon-host', daemon, 'docker-daemon:box:in')).toBe(config);
    await copy('--src-daemon-host', daemon, 'docker-daemon:box:in', 'docker://127.0.0.1:5000/back:1');
    expect(await configOf('docker://127.0.0.1:5000/back:1')).toBe(config);
  });

  it('reads what the engine saves, and the engine loads what it writes', async () => {
    const config = await configOf(from);
    await engine.mustDocker(['pull', '127.0.0.1:5000/box:1']);
    await engine.mustDocker(['save', '-o', host.path(`saved-${debian}.tar`), '127.0.0.1:5000/box:1']);
    for (const archive of ['docker-archive', 'oci-archive'])
      expect(await configOf(`${archive}:${host.path(`saved-${debian}.tar`)}`), archive).toBe(config);
    await copy(
      `oci-archive:${host.path(`saved-${debian}.tar`)}`,
      '--preserve-digests',
      `oci:${host.path(`out-${debian}`)}:t`,
    );
    expect(await configOf(`oci:${host.path(`out-${debian}`)}:t`)).toBe(config);
    for (const [archive, name] of [
      ['docker-archive', 'written:docker'],
      ['oci-archive', 'written:oci'],
    ] as const) {
      const path = host.path(`${archive}-${debian}.tar`);
      await copy(from, `${archive}:${path}:docker.io/library/${name}`);
      await engine.mustDocker(['load', '-i', path]);
      expect(await engine.mustDocker(['run', '--rm', name, 'cat', '/etc/motd'])).toBe('upper\n');
    }
  });
});
