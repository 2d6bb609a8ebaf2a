/** How containerds of three generations start a shim and what they speak with it. No containerd 2 is at hand: its part is played. */
import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, runcOptions, shimTask } from '@boxship/api';
import { TtrpcClient } from '@boxship/ttrpc';
import { credentials, type ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Harness } from './harness.ts';

const v3 = 'containerd.task.v3.Task';
let h: Harness;
beforeEach(async () => {
  h = await Harness.start();
});
afterEach(async () => {
  await h[Symbol.asyncDispose]();
});

/** `start` of a fresh group with this on its standard input. */
async function start(group: string, input: Uint8Array, environment: NodeJS.ProcessEnv = {}): Promise<Buffer> {
  const directory = join(h.bundles, `.group-${group}`);
  mkdirSync(directory, { recursive: true });
  const flags = ['-namespace', 'test', '-address', join(h.root, 'containerd.sock'), '-id', group, 'start'];
  return await new Promise((resolve, reject) => {
    const options = { cwd: directory, env: { ...h.environment, ...environment }, encoding: 'buffer' } as const;
    const child = execFile(h.executable, flags, options, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr.toString())),
    );
    child.stdin?.end(input);
  });
}

const params = (group: string, more: Partial<bootstrap.BootstrapParams> = {}) =>
  bootstrap.BootstrapParams.encode(
    bootstrap.BootstrapParams.fromPartial({
      instanceId: group,
      namespace: 'test',
      containerdTtrpcAddress: join(h.root, 'events.sock'),
      ...more,
    }),
  ).finish();

const life = async (task: Harness['task']) => {
  const id = h.newId();
  const bundle = h.bundle(id, ['sh', '-c', 'exit 3']);
  const options = { typeUrl: 'containerd.runc.v1.Options', value: h.options() };
  const nothing = {
    rootfs: [],
    terminal: false,
    stdin: '',
    stdout: '',
    stderr: '',
    checkpoint: '',
    parentCheckpoint: '',
  };
  const { pid } = await task.create({ ...nothing, id, bundle, options });
  expect(pid).toBeGreaterThan(0);
  const ended = task.wait({ id, execId: '' });
  await task.start({ id, execId: '' });
  expect((await ended).exitStatus).toBe(3);
  expect((await task.delete({ id, execId: '' })).exitStatus).toBe(3);
  await h.until(() => h.topics(id).length === 4);
  return id;
};

const endOf = async (task: Harness['task']) => {
  const { shimPid } = await task.connect({ id: '' });
  process.kill(shimPid, 'SIGTERM');
};

describe('the answer to start', () => {
  it('is protobuf for who gives BootstrapParams, and its addresses are taken from there', async () => {
    const answer = await start('b', params('b', { logLevel: bootstrap.LogLevel.DEBUG }), {
      TTRPC_ADDRESS: '/nowhere',
      MAX_SHIM_VERSION: '3',
    });
    const result = bootstrap.BootstrapResult.decode(answer);
    expect(result).toMatchObject({ version: 3, protocol: 'ttrpc' });
    await using client = await TtrpcClient.connect(result.address);
    const task = client.service(shimTask.TaskService, v3);
    await life(task);
    await endOf(task);
    await client.closed;
  });

  it('is the plain address for who gives options, JSON for who names a version', async () => {
    const options = runcOptions.Options.encode(runcOptions.Options.fromPartial({ binaryName: 'runc' })).finish();
    const any = Buffer.concat([
      Buffer.from([10, 26]),
      Buffer.from('containerd.runc.v1.Options'),
      Buffer.from([18, options.length]),
      options,
    ]);
    expect((await start('g', any)).toString()).toMatch(/^unix:\/\/\S+$/);
    expect(JSON.parse((await start('g', any, { MAX_SHIM_VERSION: '2' })).toString())).toMatchObject({
      version: 2,
      protocol: 'ttrpc',
    });
  });

  it('names gRPC when the shim speaks it, also to a second start, and a containerd that cannot is told', async () => {
    const environment = { BOXSHIP_SHIM_PROTOCOL: 'grpc', MAX_SHIM_VERSION: '3' };
    const answer = JSON.parse((await start('r', new Uint8Array(0), environment)).toString()) as { address: string };
    expect(answer).toMatchObject({ version: 3, protocol: 'grpc' });
    const second = bootstrap.BootstrapResult.decode(await start('r', params('r')));
    expect(second).toMatchObject({ address: answer.address, protocol: 'grpc' });
    await expect(start('r', new Uint8Array(0))).rejects.toThrow('speaks ttrpc only');
    await expect(start('x', new Uint8Array(0), { BOXSHIP_SHIM_PROTOCOL: 'morse' })).rejects.toThrow(
      'BOXSHIP_SHIM_PROTOCOL=morse',
    );
    for (const service of ['containerd.task.v2.Task', v3]) await life(overGrpc(answer.address, service));
    const task = overGrpc(answer.address, v3);
    await expect(task.state({ id: 'nosuch', execId: '' })).rejects.toMatchObject({
      code: 5,
      details: 'container not created: not found',
    });
    await expect(overGrpc(answer.address, 'no.such.Service').connect({ id: '' })).rejects.toMatchObject({ code: 12 });
    const { id } = await h.run1(['sleep', '100']);
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    await endOf(task);
  });
});

/** A client of grpc-js with the shape of ours. */
function overGrpc(address: string, service: string): Harness['task'] {
  const client = new shimTask.TaskClient(address, credentials.createInsecure());
  const call = (name: keyof typeof shimTask.TaskService) => (request: never) =>
    new Promise<unknown>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = shimTask.TaskService[name];
      const method = `/${service}/${path.split('/')[2]}`;
      client.makeUnaryRequest<unknown, unknown>(
        method,
        requestSerialize as (value: unknown) => Buffer,
        responseDeserialize,
        request,
        (error: ServiceError | null, answer: unknown) => (error === null ? resolve(answer) : reject(error)),
      );
    });
  const names = Object.keys(shimTask.TaskService) as (keyof typeof shimTask.TaskService)[];
  return Object.fromEntries(names.map((name) => [name, call(name)])) as unknown as Harness['task'];
}
