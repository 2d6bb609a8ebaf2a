/**
 * Sandboxes: a shim that several tasks share, by containerd's Controller. What our shim is as a sandbox it stays through kill -9
 * of containerd and of itself.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { decodeAny, encodeJsonAny, type Sandbox, typeUrls } from '@boxship/api';
import { poll } from '@boxship/base';
import { type ContainerdClient, connect } from '@boxship/containerd-client';
import { makeRootfs, testSpec } from '@boxship/runc-wrapper/testsuite/bundle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { processesWith } from '../harness/engine-under-test.ts';
import { generations } from '../harness/generations.ts';
import { endChild, SandboxHost } from '../harness/sandbox-host.ts';

const namespace = 'pods';
let host: SandboxHost;
let socket: string;
let rootfs: string;
let ours: ChildProcess;
let client: ContainerdClient;
const events: string[] = [];

async function startOurs(): Promise<void> {
  const roots = ['--root', host.path('root'), '--state', host.path('state'), '--address', socket];
  const shim = ['--shim', programPath('containerd-shim-boxship-v2')];
  const program = ['--no-warnings', programPath('boxship-containerd')];
  ours = host.start('containerd', process.execPath, [...program, ...roots, ...shim], {
    BOXSHIP_SHIM_SOCKET_DIR: host.path('s'),
  });
  await host.listening(socket);
}

/** Only the events of sandboxes; again after every restart of the server. */
async function listen(): Promise<void> {
  for await (const { topic, event } of client.events.subscribe(
    { filters: ['topic~="^/sandboxes/"'] },
    { timeoutMs: 0 },
  )) {
    const decoded = event === undefined ? undefined : decodeAny(event);
    const { sandboxId } = (decoded?.kind === 'message' ? decoded.value : {}) as { sandboxId?: string };
    events.push(`${topic} ${sandboxId}`);
  }
}

beforeAll(async () => {
  host = new SandboxHost();
  socket = host.path('c.sock');
  rootfs = makeRootfs(host.path('rootfs'));
  mkdirSync(host.path('s'));
  await startOurs();
  client = connect(socket, { namespace });
  listen().catch(() => {}); // ends with the first kill of containerd
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  for (const { pid } of shims()) process.kill(pid, 'SIGTERM');
  await host[Symbol.asyncDispose]();
});

const shims = () =>
  processesWith(socket).filter(({ commandLine }) => commandLine.includes('shim.cjs') && commandLine.includes('serve'));
/** The connection ends a moment before the process. */
const noShims = async (): Promise<void> => {
  await poll({ everyMs: 10, timeoutMs: 5_000 }, () => shims().length === 0 || undefined);
  expect(shims()).toEqual([]);
};
const shimOf = (sandboxId: string): number[] =>
  shims().flatMap(({ pid, commandLine }) => (commandLine.includes(` -id ${sandboxId} `) ? [pid] : []));

const record = (sandboxId: string, runtime: string): Sandbox => ({
  sandboxId,
  runtime: { name: runtime, options: undefined },
  spec: encodeJsonAny(typeUrls.spec, { hostname: sandboxId }),
  labels: { app: 'x' },
  createdAt: undefined,
  updatedAt: undefined,
  extensions: {},
  sandboxer: 'shim',
});

async function startSandbox(sandboxId: string, runtime = 'io.containerd.runc.v2'): Promise<void> {
  await client.sandboxes.create({ sandbox: record(sandboxId, runtime) });
  await client.sandboxController.create({ sandboxId, sandboxer: 'shim', netnsPath: '/run/netns/none' });
  await client.sandboxController.start({ sandboxId, sandboxer: 'shim' });
}

async function startTask(id: string, sandbox: string, ...args: string[]): Promise<number> {
  const spec = testSpec({ rootfs, cgroupsPath: `/boxship-test/${host.name}-${id}`, args });
  await client.containers.create({
    container: {
      id,
      labels: {},
      image: '',
      runtime: { name: 'io.containerd.runc.v2', options: undefined },
      spec: encodeJsonAny(typeUrls.spec, spec),
      snapshotter: '',
      snapshotKey: '',
      createdAt: undefined,
      updatedAt: undefined,
      extensions: {},
      sandbox,
    },
  });
  const { pid } = await client.tasks.create({ containerId: id });
  await client.tasks.start({ containerId: id });
  return pid;
}

const statusOf = async (containerId: string) => (await client.tasks.get({ containerId })).process?.status;
const RUNNING = 2;
const removeTask = async (containerId: string) => {
  const { exitStatus } = await client.tasks.delete({ containerId });
  await client.containers.delete({ id: containerId });
  return exitStatus;
};

describe('a sandbox', () => {
  it('is a shim of its own, in which its tasks are', async () => {
    await startSandbox('pod1');
    const [pid] = shimOf('pod1');
    const status = await client.sandboxController.status({ sandboxId: 'pod1', sandboxer: 'shim', verbose: true });
    expect(status).toMatchObject({ sandboxId: 'pod1', pid, state: 'SANDBOX_READY', exitedAt: undefined });
    expect(status.info).toMatchObject({ netnsPath: '/run/netns/none', containers: '[]' });
    expect(status.address).toMatch(/^ttrpc\+unix:\/\//);
    const { platform } = await client.sandboxController.platform({ sandboxId: 'pod1' });
    expect(platform?.os).toBe('linux');
    expect((await client.sandboxController.metrics({ sandboxId: 'pod1' })).metrics?.id).toBe('pod1');

    await startTask('t1', 'pod1', 'sleep', '1000');
    await startTask('t2', 'pod1', 'sh', '-c', 'exit 7');
    expect((await client.tasks.wait({ containerId: 't2' }, { timeoutMs: 10_000 })).exitStatus).toBe(7);
    expect(await removeTask('t2')).toBe(7);
    expect((await client.sandboxController.status({ sandboxId: 'pod1', verbose: true })).info['containers']).toBe(
      '["t1"]',
    );
    expect(shims()).toHaveLength(1); // no other shim was needed
    await expect(client.sandboxController.shutdown({ sandboxId: 'pod1' })).rejects.toMatchObject({
      kind: 'failedPrecondition',
      message: expect.stringContaining('t1'),
    });
    expect(await statusOf('t1')).toBe(RUNNING);
  });

  it('refuses what makes no sense, in containerd’s kinds', async () => {
    const { sandboxController } = client;
    const kind = (value: string) => expect.objectContaining({ kind: value });
    await expect(sandboxController.create({ sandboxId: 'pod1' })).rejects.toEqual(kind('alreadyExists'));
    await expect(sandboxController.create({ sandboxId: 'none' })).rejects.toEqual(kind('notFound'));
    await expect(sandboxController.create({ sandboxId: 'x', sandboxer: 'vm' })).rejects.toEqual(kind('notFound'));
    await expect(sandboxController.start({ sandboxId: 'pod1' })).rejects.toEqual(kind('failedPrecondition'));
    await expect(sandboxController.start({ sandboxId: 'none' })).rejects.toEqual(kind('notFound'));
    await expect(sandboxController.wait({ sandboxId: 'none' })).rejects.toEqual(kind('notFound'));
    await expect(sandboxController.shutdown({ sandboxId: 'none' })).rejects.toEqual(kind('notFound'));
    await expect(sandboxController.update({ sandboxId: 'pod1' })).rejects.toEqual(kind('invalidArgument'));
    expect(await sandboxController.stop({ sandboxId: 'none' })).toEqual({});
    expect(await sandboxController.status({ sandboxId: 'none' })).toMatchObject({ state: '', pid: 0 });
    await expect(startTask('t3', 'none', 'true')).rejects.toEqual(kind('notFound'));
    await client.containers.delete({ id: 't3' });
  });

  it('goes on when its shim is killed, and its tasks with it', async () => {
    const [before = 0] = shimOf('pod1');
    const waiting = client.sandboxController.wait({ sandboxId: 'pod1' }, { timeoutMs: 60_000 });
    process.kill(before, 'SIGKILL');
    const { pid, state } = await client.sandboxController.status({ sandboxId: 'pod1' });
    expect(state).toBe('SANDBOX_READY');
    expect(pid).not.toBe(before);
    expect(await statusOf('t1')).toBe(RUNNING);
    await startTask('t4', 'pod1', 'sh', '-c', 'exit 4');
    expect((await client.tasks.wait({ containerId: 't4' }, { timeoutMs: 10_000 })).exitStatus).toBe(4);
    await removeTask('t4');
    await startTask('t5', 'pod1', 'sleep', '1000');
    await client.tasks.pause({ containerId: 't5' });
    await client.sandboxController.stop({ sandboxId: 'pod1' });
    expect((await waiting).exitStatus).toBe(0);
    expect(await Promise.all(['t1', 't5'].map(removeTask))).toEqual([137, 137]);
    expect((await client.sandboxController.status({ sandboxId: 'pod1' })).exitedAt).toBeDefined();
    await client.sandboxController.shutdown({ sandboxId: 'pod1' });
    await client.sandboxes.delete({ sandboxId: 'pod1' });
    await noShims();
    const isTold = () => (events.includes('/sandboxes/exit pod1') ? true : undefined);
    expect(await poll({ everyMs: 20, timeoutMs: 5_000 }, isTold)).toBe(true);
    expect(events).toEqual(['create', 'start', 'exit'].map((what) => `/sandboxes/${what} pod1`));
  });

  it('is found again when containerd was killed, also when its shim was killed with it', async () => {
    await startSandbox('pod2');
    await startTask('u1', 'pod2', 'sleep', '1000');
    const [before = 0] = shimOf('pod2');
    await endChild(ours, 'SIGKILL');
    await startOurs();
    expect(await client.sandboxController.status({ sandboxId: 'pod2' })).toMatchObject({ pid: before });
    expect(await statusOf('u1')).toBe(RUNNING);
    await endChild(ours, 'SIGKILL');
    process.kill(before, 'SIGKILL');
    await startOurs();
    expect((await client.sandboxController.status({ sandboxId: 'pod2' })).state).toBe('SANDBOX_READY');
    expect(await statusOf('u1')).toBe(RUNNING);
    await startTask('u2', 'pod2', 'sleep', '1000');
    expect(shims()).toHaveLength(1);
    // an orderly end of containerd takes no sandbox along
    await endChild(ours);
    await startOurs();
    expect(await Promise.all(['u1', 'u2'].map(statusOf))).toEqual([RUNNING, RUNNING]);
    await client.sandboxController.stop({ sandboxId: 'pod2', timeoutSecs: 1 });
    expect(await Promise.all(['u1', 'u2'].map(removeTask))).toEqual([137, 137]);
    await client.sandboxController.shutdown({ sandboxId: 'pod2' });
  });

  it('is the shim of containerd 1.7 too, and ends with it', async (context) => {
    const newer = generations.find(({ debian }) => debian === 13);
    context.skip(newer?.missing !== undefined, newer?.missing);
    await startSandbox('pod3', newer?.goShim);
    await startTask('v1', 'pod3', 'sh', '-c', 'exit 5');
    expect((await client.tasks.wait({ containerId: 'v1' }, { timeoutMs: 10_000 })).exitStatus).toBe(5);
    expect(await removeTask('v1')).toBe(5);
    const pid = await startTask('v2', 'pod3', 'sleep', '1000');
    const goShims = processesWith(socket).filter(({ commandLine }) => commandLine.includes('-id pod3'));
    expect(goShims).toHaveLength(1); // both tasks were in it
    process.kill(goShims[0]?.pid ?? 0, 'SIGKILL');
    const isGone = async () =>
      (await client.sandboxController.status({ sandboxId: 'pod3' })).state === '' &&
      (await client.tasks.list()).tasks.length === 0 &&
      !existsSync(`/proc/${pid}`);
    expect(await poll({ everyMs: 50, timeoutMs: 10_000 }, async () => (await isGone()) || undefined)).toBe(true);
    await client.containers.delete({ id: 'v2' });
    await client.sandboxController.create({ sandboxId: 'pod3' });
    await client.sandboxController.start({ sandboxId: 'pod3' });
    // its stop would end the process, too
    await client.sandboxController.shutdown({ sandboxId: 'pod3' });
    await client.sandboxes.delete({ sandboxId: 'pod3' });
    const isEnded = () =>
      !processesWith(socket).some(({ commandLine }) => commandLine.includes('-id pod3')) || undefined;
    expect(await poll({ everyMs: 20, timeoutMs: 5_000 }, isEnded)).toBe(true);
  });

  it('leaves nothing behind', async () => {
    await noShims();
    for (const directory of ['io.containerd.sandbox.controller.v1.shim', 'io.containerd.runtime.v2.task']) {
      const path = host.path('state', directory, namespace);
      expect(existsSync(path) ? readdirSync(path).filter((name) => !name.startsWith('.removed-')) : []).toEqual([]);
    }
    expect(readdirSync(host.path('s'))).toEqual([]);
  });
});
