/** Debian's dockerd, old and new, with our containerd and shim below it: S2 and S3 as a foreign client uses them. */
import type { ChildProcess } from 'node:child_process';
import { poll } from '@boxship/base';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { importBusybox, processesWith } from '../harness/engine-under-test.ts';
import { generations } from '../harness/generations.ts';
import { type DockerdPeer, startDockerd } from '../harness/peers.ts';
import { endChild, SandboxHost } from '../harness/sandbox-host.ts';

describe.each(generations)('dockerd $dockerd --containerd', ({ env, missing, dockerd: version }) => {
  let host: SandboxHost;
  let dockerd: DockerdPeer;
  let containerd: string;
  let ours: ChildProcess;

  async function startOurs(): Promise<void> {
    const roots = ['--root', host.path('c-root'), '--state', host.path('c-state'), '--address', containerd];
    const shim = ['--shim', programPath('containerd-shim-boxship-v2')];
    const program = programPath('boxship-containerd');
    ours = host.start('containerd', process.execPath, ['--no-warnings', program, ...roots, ...shim]);
    await host.listening(containerd);
  }

  beforeAll(async () => {
    if (missing !== undefined) return;
    host = new SandboxHost();
    containerd = host.path('containerd.sock');
    await startOurs();
    dockerd = await startDockerd(host, { containerd, env });
    await importBusybox(host, dockerd);
  });
  afterAll(async () => await host?.[Symbol.asyncDispose]());
  beforeEach((context) => context.skip(missing !== undefined, missing));

  it('is of that version', async () => {
    expect(await dockerd.mustDocker(['version', '--format', '{{.Server.Version}}'])).toContain(version);
  });

  it('sees our containerd', async () => {
    expect(await dockerd.mustDocker(['info', '--format', '{{.ContainerdCommit.ID}} {{.DefaultRuntime}}'])).toContain(
      'runc',
    );
    expect(processesWith(containerd).some(({ commandLine }) => commandLine.includes('dockerd'))).toBe(true);
  });

  it('runs in the foreground: output, exit codes, standard input', async () => {
    const run = ['run', '--rm', '-i', '--network', 'none', 'busybox'];
    expect(await dockerd.docker([...run, 'sh', '-c', 'echo out; echo err >&2; exit 3'])).toEqual({
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(await dockerd.docker([...run, 'cat'], { input: 'through' })).toMatchObject({ code: 0, stdout: 'through' });
    expect((await dockerd.docker([...run, '/no/such/program'])).code).toBe(127);
  });

  it('runs in the background in our shim: exec, logs, top, stop, restart', async () => {
    await dockerd.mustDocker([
      'run',
      '-d',
      '--name',
      'bg',
      '--network',
      'none',
      'busybox',
      'sh',
      '-c',
      'echo started; exec sleep 1000',
    ]);
    expect(processesWith(containerd).some(({ commandLine }) => commandLine.includes('shim.cjs'))).toBe(true);
    expect(await dockerd.mustDocker(['exec', 'bg', 'echo', 'inside'])).toBe('inside\n');
    expect((await dockerd.docker(['exec', 'bg', 'sh', '-c', 'exit 9'])).code).toBe(9);
    expect(await dockerd.mustDocker(['top', 'bg'])).toContain('sleep 1000');
    expect(await dockerd.mustDocker(['logs', 'bg'])).toBe('started\n');
    await dockerd.mustDocker(['pause', 'bg']);
    expect(await dockerd.mustDocker(['inspect', '--format', '{{.State.Status}}', 'bg'])).toBe('paused\n');
    await dockerd.mustDocker(['unpause', 'bg']);
    await dockerd.mustDocker(['restart', '-t', '0', 'bg']);
    await dockerd.mustDocker(['kill', '--signal', 'KILL', 'bg']);
    expect(await dockerd.mustDocker(['wait', 'bg'])).toBe('137\n');
    await dockerd.mustDocker(['rm', 'bg']);
  });

  it('keeps a container through the death of the shim', async () => {
    const script = 'i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done';
    await dockerd.mustDocker(['run', '-d', '--name', 'ticks', '--network', 'none', 'busybox', 'sh', '-c', script]);
    const before = processesWith(containerd).filter(
      ({ commandLine }) => commandLine.includes('shim.cjs') && commandLine.includes('serve'),
    );
    expect(before).toHaveLength(1);
    for (const { pid } of before) process.kill(pid, 'SIGKILL');
    expect(await dockerd.mustDocker(['exec', 'ticks', 'echo', 'alive'])).toBe('alive\n');
    expect(await dockerd.mustDocker(['inspect', '--format', '{{.State.Running}}', 'ticks'])).toBe('true\n');
    await dockerd.mustDocker(['stop', '-t', '0', 'ticks']);
    const lines = (await dockerd.mustDocker(['logs', 'ticks'])).trim().split('\n').map(Number);
    expect(lines).toEqual(lines.map((_, at) => at + 1));
    await dockerd.mustDocker(['rm', 'ticks']);
  });

  it('loses no container when containerd is killed, not even one that ends meanwhile', async () => {
    const run = ['run', '-d', '--network', 'none'];
    const ticks = 'i=0; while true; do i=$((i+1)); echo $i; sleep 0.05; done';
    await dockerd.mustDocker([...run, '--name', 'goes-on', 'busybox', 'sh', '-c', ticks]);
    await dockerd.mustDocker([...run, '--name', 'ended', '-i', 'busybox', 'sh', '-c', 'sleep 1.5; exit 43']);
    for (let round = 0; round < 3; round++) {
      await endChild(ours, 'SIGKILL');
      if (round === 0) await new Promise((resolve) => setTimeout(resolve, 2_000)); // the third one ends in this gap
      await startOurs();
      expect(
        await poll({ everyMs: 200, timeoutMs: 20_000 }, async () => {
          const { code, stdout } = await dockerd.docker(['exec', 'goes-on', 'echo', 'alive']);
          return code === 0 ? stdout : undefined;
        }),
      ).toBe('alive\n');
    }
    const stateOf = (name: string) =>
      dockerd.mustDocker(['inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', name]);
    expect(
      await poll({ everyMs: 200, timeoutMs: 20_000 }, async () =>
        (await stateOf('ended')).startsWith('exited') ? await stateOf('ended') : undefined,
      ),
    ).toBe('exited 43\n');
    expect(await stateOf('goes-on')).toBe('running 0\n');
    await dockerd.mustDocker(['stop', '-t', '0', 'goes-on']);
    const lines = (await dockerd.mustDocker(['logs', 'goes-on'])).trim().split('\n').map(Number);
    expect(lines).toEqual(lines.map((_, at) => at + 1));
    expect(await dockerd.mustDocker(['run', '--rm', '--network', 'none', 'busybox', 'echo', 'new'])).toBe('new\n');
    await dockerd.mustDocker(['rm', '-f', 'goes-on', 'ended']);
  });
});
