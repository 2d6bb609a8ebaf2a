/**
 * Every sub-command of ctr, old and new, on Debian's containerd and on ours: exit code and output must be the same, but for times,
 * process numbers and names that are random.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { chainIds } from '@boxship/oci';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { generations } from '../harness/generations.ts';
import { startContainerd, startRegistry } from '../harness/peers.ts';
import { type RunResult, SandboxHost } from '../harness/sandbox-host.ts';
import { makeTestImage, pushTestImage, type TestImage } from '../harness/test-image.ts';
import { commands } from './ctr-commands.ts';

interface Server {
  /** Also the containerd namespace: one's own, because ctr names cgroups after namespace and id. */
  readonly name: string;
  readonly socket: string;
  /** Of its data. */
  readonly root: string;
  readonly state: string;
  /** For files that commands write. */
  readonly directory: string;
}

const registry = '127.0.0.1:5000';
const box = `${registry}/box:1`;
/** What may differ between two runs is replaced by its kind. */
function normalise(server: Server, text: string): string {
  return text
    .replaceAll(server.directory, '<dir>')
    .replaceAll(server.socket, '<socket>')
    .replaceAll(server.root, '<root>')
    .replaceAll(server.state, '<state>')
    .replaceAll(new RegExp(`\\b${server.name}\\b`, 'g'), '<namespace>')
    .replaceAll(/<namespace>\/\d+\//g, '<namespace>/<number>/')
    .replaceAll(/\/snapshots\/\d+/g, '/snapshots/<number>')
    .replaceAll(/(time=)?"?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^" ,\n]*( \+0000 UTC)?"?/g, '<time>')
    .replaceAll(/About a minute( ago)?|Less than a second( ago)?|\d+ (seconds?|minutes?)( ago)?/g, '<ago>')
    .replaceAll(/(?<=\s|^)[a-z]\S*=\S*,\S+/gm, (labels) => labels.split(',').sort().join(','))
    .replaceAll(/\b(\d+h)?(\d+m)?\d+(\.\d+)?(ms|µs|Âµs|s|ns)\b/g, '<duration>')
    .replaceAll(/failed to commit snapshot \S+:/g, 'failed to commit snapshot:') // since 1.7 with its name
    .replaceAll('^@', '') // script(1) on an empty standard input
    .split('\n')
    .map((line) => line.trimEnd().replaceAll(/[ \t]+/g, ' '))
    .join('\n');
}

describe.each(generations)('ctr $containerd, on that containerd and on ours', ({ env, missing }) => {
  let host: SandboxHost;
  let image: TestImage;
  let servers: readonly Server[] = [];

  beforeAll(async () => {
    if (missing !== undefined) return;
    host = new SandboxHost();
    const server = (name: string, socket: string, root: string, state: string): Server => ({
      name,
      socket,
      root: host.path(root),
      state: host.path(state),
      directory: host.path(`files-${name}`),
    });
    const ours = server('ours', host.path('ours.sock'), 'ours/root', 'ours/state');
    const args = ['--root', ours.root, '--state', ours.state, '--address', ours.socket];
    host.start('ours', process.execPath, [
      '--no-warnings',
      programPath('boxship-containerd'),
      ...args,
      '--shim',
      programPath('containerd-shim-boxship-v2'),
    ]);
    const [{ socket }] = await Promise.all([
      startContainerd(host, env),
      host.listening(ours.socket),
      startRegistry(host),
    ]);
    servers = [server('peer', socket, 'peer-containerd/root', 'peer-containerd/state'), ours];
    image = makeTestImage(host);
    await pushTestImage(host, image, box);
    for (const { directory } of servers) {
      for (const name of ['mnt', 'shared']) mkdirSync(`${directory}/${name}`, { recursive: true });
      writeFileSync(`${directory}/env`, 'FROM_FILE=yes\n');
      writeFileSync(`${directory}/shared/f`, 'shared\n');
    }
  });
  afterAll(async () => {
    for (const server of servers) {
      for (const id of (await run(server, 'containers ls -q')).stdout.split('\n').filter((line) => line !== '')) {
        await run(server, `tasks rm -f ${id}`);
        await run(server, `containers rm ${id}`);
      }
    }
    await host?.[Symbol.asyncDispose]();
  });
  beforeEach((context) => context.skip(missing !== undefined, missing));

  function run(server: Server, command: string): Promise<RunResult> {
    const chain = chainIds(image.diffIds);
    const values: Record<string, string | undefined> = {
      box,
      registry,
      dir: server.directory,
      namespace: server.name,
      index: image.index.digest,
      manifest: image.manifest.digest,
      config: image.config.digest,
      layer0: image.layers[0]?.digest,
      layer1: image.layers[1]?.digest,
      chain0: chain[0],
      chain1: chain[1],
    };
    const filled = command.replaceAll(/\{([a-z0-9]+)\}/g, (whole, name: string) => values[name] ?? whole);
    const options = {
      timeoutMs: 60_000,
      env: { ...env, CTR: `ctr --address ${server.socket} --namespace ${server.name}` },
    };
    return filled.startsWith('sh:')
      ? host.run('sh', ['-c', filled.slice(3)], options)
      : host.run('ctr', ['--address', server.socket, '--namespace', server.name, ...filled.split(' ')], options);
  }

  for (const [subject, lines] of Object.entries(commands)) {
    describe(subject, () => {
      for (const [at, line] of lines.entries()) {
        const [, compared = 'text', command = ''] = /^(?:(code|shape):)?([\s\S]*)$/.exec(line) ?? [];
        it(`${at + 1}. ${line.slice(0, 100)}`, async () => {
          const results = await Promise.all(
            servers.map(async (server) => ({ server, result: await run(server, command) })),
          );
          const [expected, found] = results.map(({ server, result: { code, stdout, stderr } }) => {
            if (compared === 'code') return { code };
            const texts = [stdout, stderr].map((text) => normalise(server, text));
            const [out, error] = compared === 'shape' ? texts.map((text) => text.replaceAll(/[\d.]+/g, 'N')) : texts;
            return { code, stdout: out, stderr: error };
          });
          expect(found, results.map(({ result }) => result.stderr).join('\n')).toEqual(expected);
        });
      }
    });
  }

  it('asks at least eighty different things', () => {
    expect(new Set(Object.values(commands).flat()).size).toBeGreaterThanOrEqual(80);
  });
});
