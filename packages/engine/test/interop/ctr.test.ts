/** Debian's ctr 1.6 on our containerd. */
import { existsSync } from 'node:fs';
import { encodeAny, runcOptions, runtimeInfo } from '@boxship/api';
import { poll } from '@boxship/base';
import { connect } from '@boxship/containerd-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EngineUnderTest,
  importBusybox,
  processesWith,
  startEngineUnderTest,
} from '../harness/engine-under-test.ts';
import { startDockerd, startRegistry } from '../harness/peers.ts';
import { type RunOptions, SandboxHost } from '../harness/sandbox-host.ts';

let host: SandboxHost;
let engine: EngineUnderTest;
const image = '127.0.0.1:5000/busybox:1';

const ctr = (args: readonly string[], options?: RunOptions) =>
  host.run('ctr', ['--address', engine.containerdSocket, '--namespace', 'test', ...args], options);
const mustCtr = async (args: readonly string[]): Promise<string> => {
  const { code, stdout, stderr } = await ctr(args);
  if (code !== 0) throw new Error(`ctr ${args.join(' ')} ended with ${code}: ${stderr || stdout}`);
  return stdout;
};

beforeAll(async () => {
  host = new SandboxHost();
  engine = await startEngineUnderTest(host);
  await startRegistry(host);
  // the registry is filled by a foreign engine, so that nothing of ours made what is pulled
  await using peerHost = new SandboxHost();
  const peer = await startDockerd(peerHost);
  await importBusybox(peerHost, peer);
  await peer.mustDocker(['save', '-o', host.path('busybox-image.tar'), 'busybox']);
  await host.must('skopeo', [
    'copy',
    '--insecure-policy',
    '--dest-tls-verify=false',
    `docker-archive:${host.path('busybox-image.tar')}`,
    `docker://${image}`,
  ]);
});
afterAll(async () => {
  for (const id of (await ctr(['containers', 'ls', '-q'])).stdout.split('\n').filter((line) => line !== '')) {
    await ctr(['tasks', 'rm', '-f', id]);
    await ctr(['containers', 'rm', id]);
  }
  await host[Symbol.asyncDispose]();
});

describe('ctr', () => {
  it('reads version and plugins', async () => {
    expect(await mustCtr(['version'])).toContain('Server:');
    expect(await mustCtr(['plugins', 'ls'])).toMatch(/io\.containerd\.snapshotter\.v1 +overlayfs +linux\/amd64 +ok/);
  });

  it('pulls, lists content and snapshots', async () => {
    await mustCtr(['images', 'pull', '--plain-http', image]);
    expect(await mustCtr(['images', 'ls', '-q'])).toBe(`${image}\n`);
    expect((await mustCtr(['content', 'ls', '-q'])).trim().split('\n')).toHaveLength(3);
    expect(await mustCtr(['snapshots', 'ls'])).toMatch(/sha256:[0-9a-f]{64} +Committed/);
    expect(await mustCtr(['images', 'check'])).toContain('complete (2/2)');
  });

  it('runs in the foreground, with and without a terminal', async () => {
    expect(await ctr(['run', '--rm', image, 'r1', 'echo', 'hello'])).toMatchObject({ code: 0, stdout: 'hello\n' });
    expect((await ctr(['run', '--rm', image, 'r2', 'sh', '-c', 'exit 7'])).code).toBe(7);
    const terminal = await host.run('script', [
      '-qec',
      `ctr --address ${engine.containerdSocket} -n test run --rm -t ${image} r3 sh -c 'tty; exit 4'`,
      '/dev/null',
    ]);
    expect(terminal.stdout).toContain('/dev/pts/0');
    expect(terminal.code).toBe(4);
  });

  it('runs in the background, adds a process, kills and removes', async () => {
    await mustCtr(['run', '-d', image, 'bg', 'sleep', '1000']);
    expect(await mustCtr(['tasks', 'ls'])).toMatch(/bg +\d+ +RUNNING/);
    expect(await mustCtr(['tasks', 'exec', '--exec-id', 'e1', 'bg', 'echo', 'inside'])).toBe('inside\n');
    expect(await mustCtr(['tasks', 'metrics', 'bg'])).toContain('memory');
    await mustCtr(['tasks', 'kill', '-s', 'SIGKILL', 'bg']);
    for (let i = 0; i < 50 && !(await mustCtr(['tasks', 'ls'])).includes('STOPPED'); i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await ctr(['tasks', 'rm', 'bg']); // its exit code is that of the process
    await mustCtr(['containers', 'rm', 'bg']);
    expect(await mustCtr(['tasks', 'ls', '-q'])).toBe('');
  });

  it('sees the events of a life in order', async () => {
    const events = host.start('events', 'ctr', ['--address', engine.containerdSocket, 'events']);
    await new Promise((resolve) => setTimeout(resolve, 300)); // the subscription has no sign of its own
    await mustCtr(['run', '--rm', image, 'ev', 'true']);
    for (let i = 0; i < 50 && !host.logOf('events').includes('/containers/delete'); i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    events.kill();
    const topics = host.logOf('events').match(/\/tasks\/[a-z-]+/g);
    expect(topics).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
  });

  it('uses the shim of containerd as well as ours', async () => {
    const result = await ctr([
      'run',
      '--rm',
      '--runtime',
      '/usr/bin/containerd-shim-runc-v2',
      image,
      'go',
      'sh',
      '-c',
      'echo go-shim; exit 5',
    ]);
    expect([result.code, result.stdout]).toEqual([5, 'go-shim\n']);
  });

  it('tells what a runtime is, as clients of containerd 2 ask', async () => {
    await using client = connect(engine.containerdSocket, { namespace: 'test' });
    const ask = async (runtimePath: string, binaryName: string) => {
      const options = encodeAny('containerd.runc.v1.Options', runcOptions.Options, {
        ...runcOptions.Options.decode(new Uint8Array(0)),
        binaryName,
      });
      const request = encodeAny('containerd.types.RuntimeRequest', runtimeInfo.RuntimeRequest, {
        runtimePath,
        options,
      });
      const plugin = { type: 'io.containerd.runtime.v2', id: 'task' };
      const { extra } = await client.introspection.pluginInfo({ ...plugin, options: request });
      return runtimeInfo.RuntimeInfo.decode(extra?.value ?? new Uint8Array(0));
    };
    for (const binary of ['runc', 'crun']) {
      const { name, options, features, annotations } = await ask('io.containerd.runc.v2', binary);
      expect(name).toBe('io.containerd.boxship.v2');
      expect(options?.typeUrl).toBe('containerd.runc.v1.Options');
      const version = (await host.must(binary, ['--version'])).split('\n')[0] ?? '';
      expect(version).toContain(annotations['boxship.io/oci-runtime-version']);
      if (binary === 'runc') expect(JSON.parse(String(features?.value))).toHaveProperty('ociVersionMax');
    }
    // a shim that is older than the question
    await expect(ask('/usr/bin/containerd-shim-runc-v2', '')).rejects.toThrow('-info');
  });

  it('cleans up after the shim of containerd when it is killed', async () => {
    await mustCtr(['run', '-d', '--runtime', '/usr/bin/containerd-shim-runc-v2', image, 'orphan', 'sleep', '1000']);
    const init = Number(/^orphan +(\d+)/m.exec(await mustCtr(['tasks', 'ls']))?.[1]);
    const mine = processesWith(engine.containerdSocket);
    const shim = mine.find(({ commandLine }) => commandLine.includes('-id orphan'));
    process.kill(shim?.pid ?? 0, 'SIGKILL');
    const isGone = async () =>
      ((await mustCtr(['tasks', 'ls', '-q'])) === '' && !existsSync(`/proc/${init}`)) || undefined;
    expect(await poll({ everyMs: 50, timeoutMs: 10_000 }, isGone)).toBe(true);
    await mustCtr(['containers', 'rm', 'orphan']);
  });

  it.each(['native', 'erofs', 'fuse-overlayfs'])('runs over snapshots of %s', async (snapshotter) => {
    await mustCtr(['images', 'pull', '--plain-http', '--snapshotter', snapshotter, image]);
    const script = 'echo new > /new; cat /new; wc -c < /bin/busybox';
    const run = ['run', '--rm', '--snapshotter', snapshotter, image, `on-${snapshotter}`, 'sh', '-c', script];
    expect(await mustCtr(run)).toMatch(/^new\n\d{6,}\n$/);
  });

  it('leaves nothing behind', async () => {
    await mustCtr(['images', 'rm', '--sync', image]);
    expect(await mustCtr(['content', 'ls', '-q'])).toBe('');
    expect((await mustCtr(['snapshots', 'ls'])).trim().split('\n')).toHaveLength(1);
  });
});
