/** kill -9 of the daemon: containers go on, nothing half made stays, whatever the moment. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { connect } from '@boxship/containerd-client';
import { mountsUnder, processStat } from '@boxship/linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing, startEngine, type TestEngine } from './harness.ts';

const reason = missing('docker');

describe.skipIf(reason !== undefined)('recovery', () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await startEngine();
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });

  const idle = { Image: 'busybox', Cmd: ['sleep', '1000'], HostConfig: { NetworkMode: 'none' } };

  it('adopts running containers and notices exits that happened meanwhile', async () => {
    const { containers } = engine.client;
    const lives = await containers.create(idle, { name: 'lives' });
    const ends = await containers.create(
      { ...idle, Cmd: ['sh', '-c', 'echo before; while [ ! -e /go ]; do sleep 0.05; done; echo last; exit 42'] },
      { name: 'ends' },
    );
    await containers.start(lives.Id);
    await containers.start(ends.Id);
    const { Pid: pid, StartedAt: startedAt } = (await containers.inspect('lives')).State;
    const other = (await containers.inspect('ends')).State.Pid;
    await engine.killDaemon();
    expect(processStat(pid)).toBeDefined();
    // the container's own file system, reached through its init
    writeFileSync(`/proc/${other}/root/go`, '');
    await poll({ everyMs: 20, timeoutMs: 10_000 }, () => processStat(other) === undefined || undefined);
    await engine.startDaemon();
    const after = (await containers.inspect('lives')).State;
    expect([after.Status, after.Pid, after.StartedAt]).toEqual(['running', pid, startedAt]);
    await expect
      .poll(async () => (await containers.inspect('ends')).State, { timeout: 10_000 })
      .toMatchObject({ Status: 'exited', ExitCode: 42 });
    expect((await engine.docker('logs', 'ends')).stdout).toBe('before\nlast\n');
    expect((await engine.docker('exec', 'lives', 'echo', 'still')).stdout).toBe('still\n');
    await containers.remove('lives', { force: true });
    await containers.remove('ends');
  });

  it.each([
    ['create.recorded', 'create'],
    ['create.snapshot', 'create'],
    ['start.recorded', 'start'],
    ['start.task-created', 'start'],
    ['start.task-started', 'start'],
    ['remove.recorded', 'remove'],
  ])('leaves nothing half made when killed at %s', async (point, verb) => {
    const { containers } = engine.client;
    await engine.killDaemon();
    await engine.startDaemon({ BOXSHIP_TEST: '1', BOXSHIP_FP: `${point}=kill` });
    const steps = async () => {
      const { Id } = await containers.create(idle, { name: 'victim' });
      if (verb === 'start') await containers.start(Id);
      if (verb === 'remove') await containers.remove(Id);
    };
    await expect(steps()).rejects.toThrow();
    await engine.daemonEnded();
    await engine.startDaemon();
    const found = (await containers.list({ all: true })).find((container) => container.Names.includes('/victim'));
    if (verb === 'start') {
      // whether it runs is a matter of the moment; what is said of it is true
      const { State } = await containers.inspect('victim');
      expect(State.Status).toBe(point === 'start.task-started' ? 'running' : 'created');
      expect(processStat(State.Pid)?.state === undefined).toBe(point !== 'start.task-started');
      await containers.remove('victim', { force: true });
    } else expect(found).toBeUndefined();
    await expectNothingLeft();
  });

  it('starts what its restart policy wants, also after the daemon was killed', async () => {
    const { containers } = engine.client;
    const restart = (Name: string) => ({ ...idle, HostConfig: { NetworkMode: 'none', RestartPolicy: { Name } } });
    for (const [name, policy] of [
      ['always', 'always'],
      ['unless', 'unless-stopped'],
      ['stopped', 'unless-stopped'],
    ] as const) {
      await containers.create(restart(policy), { name });
      await containers.start(name);
    }
    await containers.stop('always', { timeout: 0 });
    await containers.stop('stopped', { timeout: 0 });
    await engine.killDaemon();
    await engine.startDaemon();
    await expect
      .poll(async () => (await containers.inspect('always')).State.Status, { timeout: 10_000 })
      .toBe('running');
    expect((await containers.inspect('unless')).State.Status).toBe('running');
    expect((await containers.inspect('unless')).RestartCount).toBe(0);
    expect((await containers.inspect('stopped')).State.Status).toBe('exited');
    for (const name of ['always', 'unless', 'stopped']) await containers.remove(name, { force: true });
    await expectNothingLeft();
  });

  it('removes a --rm container whose start was cut off', async () => {
    const { containers } = engine.client;
    await engine.killDaemon();
    await engine.startDaemon({ BOXSHIP_TEST: '1', BOXSHIP_FP: 'start.task-created=kill' });
    await containers.create({ ...idle, HostConfig: { NetworkMode: 'none', AutoRemove: true } }, { name: 'cut' });
    await expect(containers.start('cut')).rejects.toThrow();
    await engine.daemonEnded();
    await engine.startDaemon();
    expect(await containers.list({ all: true })).toEqual([]);
    await expectNothingLeft();
  });

  it('clears what a --rm container has left when it is killed right after telling of its removal', async () => {
    const { containers } = engine.client;
    await engine.killDaemon();
    await engine.startDaemon({ BOXSHIP_TEST: '1', BOXSHIP_FP: 'remove.forgotten=kill' });
    const { Id } = await containers.create({
      Image: 'busybox',
      Cmd: ['true'],
      HostConfig: { NetworkMode: 'none', AutoRemove: true },
    });
    await containers.start(Id);
    await engine.daemonEnded();
    await engine.startDaemon();
    expect(await containers.list({ all: true })).toEqual([]);
    await expectNothingLeft();
  });

  it('removes --rm containers that ended while it was away', async () => {
    const { containers } = engine.client;
    await containers.create({ ...idle, HostConfig: { NetworkMode: 'none', AutoRemove: true } }, { name: 'auto' });
    await containers.start('auto');
    const { Pid } = (await containers.inspect('auto')).State;
    await engine.killDaemon();
    process.kill(Pid, 'SIGKILL');
    await engine.startDaemon();
    await expect.poll(async () => (await containers.list({ all: true })).length, { timeout: 10_000 }).toBe(0);
    await expectNothingLeft();
  });

  it('unpacks an image again of which a cut of power has taken the layers, and says so when it cannot', async () => {
    const { containers } = engine.client;
    await using containerd = connect(engine.containerdSocket, { namespace: 'moby' });
    const snapshotter = 'overlayfs';
    const removeLayers = async (): Promise<void> => {
      const left = new Map<string, string>(); // to the parent's name
      for await (const { info } of containerd.snapshots.list({ snapshotter, filters: [] }))
        for (const { name, parent } of info) left.set(name, parent);
      while (left.size > 0) {
        const parents = new Set(left.values());
        for (const name of left.keys()) {
          if (parents.has(name)) continue;
          await containerd.snapshots.remove({ snapshotter, key: name });
          left.delete(name);
        }
      }
    };
    const run = () => engine.docker('run', '--rm', '--pull', 'never', '--network', 'none', 'busybox', 'echo', 'whole');
    await removeLayers();
    expect(await run()).toMatchObject({ code: 0, stdout: 'whole\n' });
    await removeLayers();
    const { RootFS } = await engine.client.images.inspect('busybox');
    expect(RootFS.Layers).toHaveLength(1);
    for await (const { info } of containerd.content.list({
      filters: [`labels."containerd.io/uncompressed"==${RootFS.Layers?.[0]}`],
    }))
      for (const { digest } of info) await containerd.content.delete({ digest });
    const refused = await run();
    expect(refused.code).toBe(125);
    expect(refused.stderr).toContain('has lost layers and what they are made of: pull it again');
    expect(await containers.list({ all: true })).toEqual([]);
    await expectNothingLeft();
  });

  /** No container: so no task, registration, snapshot of one, mount, directory or socket either. */
  async function expectNothingLeft(): Promise<void> {
    await using containerd = connect(engine.containerdSocket, { namespace: 'moby' });
    expect((await containerd.tasks.list()).tasks).toEqual([]);
    expect((await containerd.containers.list()).containers).toEqual([]);
    const active: string[] = [];
    for await (const { info } of containerd.snapshots.list({ snapshotter: 'overlayfs', filters: ['kind==active'] }))
      active.push(...info.map(({ name }) => name));
    expect(active).toEqual([]);
    expect(mountsUnder(engine.directory).filter((mount) => mount.type === 'overlay')).toEqual([]);
    await expect.poll(() => readdirSync(join(engine.directory, 'root/containers'))).toEqual([]);
    const attach = join(engine.directory, 'run/attach');
    expect(existsSync(attach) ? readdirSync(attach) : []).toEqual([]);
  }
});
