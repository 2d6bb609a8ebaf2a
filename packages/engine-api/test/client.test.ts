/** The client against the distribution's dockerd, in a network namespace of its own. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { poll } from '@boxship/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEngineClient, type EngineClient, frameDecoderStream, type Hijacked } from '../src/index.ts';

const has = (program: string) =>
  (process.env['PATH'] ?? '').split(':').some((directory) => existsSync(join(directory, program)));
const canRun = process.getuid?.() === 0 && ['dockerd', 'ip', 'nsenter', 'tar'].every(has) && existsSync('/bin/busybox');

function archive(directory: string): Buffer {
  const root = join(directory, 'rootfs');
  for (const name of ['bin', 'etc', 'tmp']) mkdirSync(join(root, name), { recursive: true });
  execFileSync('cp', ['/bin/busybox', join(root, 'bin/busybox')]);
  for (const name of ['sh', 'tr', 'echo', 'cat', 'sleep', 'true', 'head'])
    symlinkSync('busybox', join(root, 'bin', name));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\n');
  return execFileSync('tar', ['-C', root, '-c', '.'], { maxBuffer: 64 * 1024 * 1024 });
}

async function outputOf({ socket }: Hijacked): Promise<Record<number, string>> {
  const seen: Record<number, string> = {};
  for await (const { stream, payload } of socket.pipe(frameDecoderStream()) as AsyncIterable<{
    stream: number;
    payload: Buffer;
  }>)
    seen[stream] = (seen[stream] ?? '') + payload.toString();
  return seen;
}

describe.skipIf(!canRun)('client against dockerd', () => {
  let directory = '';
  let host = '';
  let engine: EngineClient;
  const resources = new AsyncDisposableStack();

  beforeAll(async () => {
    directory = mkdtempSync('/tmp/engine-api-test-');
    resources.defer(() => rmSync(directory, { recursive: true, force: true }));
    const netns = `bxa${randomBytes(4).toString('hex')}`;
    execFileSync('ip', ['netns', 'add', netns]);
    resources.defer(() => void execFileSync('ip', ['netns', 'del', netns]));
    execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
    writeFileSync(join(directory, 'daemon.json'), '{}');
    host = `unix://${directory}/docker.sock`;
    const log = openSync(join(directory, 'log'), 'a');
    const args = [
      `--net=/run/netns/${netns}`, 'dockerd', '-H', host, '--data-root', `${directory}/root`, '--exec-root', `${directory}/exec`,
      '--pidfile', `${directory}/pid`, '--config-file', `${directory}/daemon.json`,
    ]; // biome-ignore format: pairs
    const child = spawn('nsenter', args, { stdio: ['ignore', log, log] });
    closeSync(log);
    resources.defer(async () => {
      child.kill('SIGTERM');
      await poll(
        { everyMs: 20, timeoutMs: 15_000 },
        () => child.exitCode !== null || child.signalCode !== null || undefined,
      );
      execFileSync('sh', ['-c', `grep -o '${directory}[^ ]*' /proc/self/mounts | sort -ru | xargs -r -n1 umount -l`]);
    });
    engine = resources.use(createEngineClient({ host }));
    const isUp = await poll({ everyMs: 100, timeoutMs: 30_000 }, async () => {
      if (child.exitCode !== null) throw new Error(readFileSync(join(directory, 'log'), 'utf8'));
      return (
        (await engine.system.info().then(
          () => true,
          () => undefined,
        )) ?? undefined
      );
    });
    if (isUp === undefined) throw new Error('dockerd does not answer');
    for await (const message of engine.images.import(
      { repo: 'busybox', tag: 'latest' },
      Readable.from([archive(directory)]),
    ))
      expect(message.error).toBeUndefined();
  });
  afterAll(() => resources.disposeAsync());

  const none = { HostConfig: { NetworkMode: 'none' } };

  it('negotiates the version', async () => {
    expect(await engine.transport.apiVersion()).toBe((await engine.system.version()).ApiVersion);
    await using fixed = createEngineClient({ host, apiVersion: '1.99' });
    await expect(fixed.system.info()).rejects.toMatchObject({
      kind: 'invalidArgument',
      message: expect.stringContaining('too new'),
    });
  });

  it('attaches before the start, half closes, and gets both streams and the exit code', async () => {
    const { Id } = await engine.containers.create({
      Image: 'busybox', Cmd: ['sh', '-c', 'tr a-z A-Z; echo err >&2; exit 3'], OpenStdin: true, StdinOnce: true, ...none,
    }); // biome-ignore format: a request
    const attached = await engine.containers.attach(Id, { stream: true, stdin: true, stdout: true, stderr: true });
    const { result } = await engine.containers.wait(Id, 'next-exit');
    expect(await engine.containers.start(Id)).toBe(true);
    attached.socket.end('hello\n');
    expect(await outputOf(attached)).toEqual({ 1: 'HELLO\n', 2: 'err\n' });
    expect((await result).StatusCode).toBe(3);
    expect((await engine.containers.inspect(Id)).State.ExitCode).toBe(3);
    await engine.containers.remove(Id);
  });

  it('execs, logs, samples, stops and tells events', async () => {
    const since = String(Math.floor(Date.now() / 1000));
    const { Id } = await engine.containers.create(
      { Image: 'busybox', Cmd: ['sh', '-c', 'echo up; sleep 100'], Labels: { t: '1' }, ...none },
      { name: 'life' },
    );
    await engine.containers.start('life');
    expect(await engine.containers.start(Id)).toBe(false);
    const { Id: exec } = await engine.exec.create(Id, {
      Cmd: ['sh', '-c', 'cat; exit 4'],
      AttachStdin: true,
      AttachStdout: true,
      AttachStderr: true,
    });
    const started = await engine.exec.start(exec);
    started.socket.end('in\n');
    expect(await outputOf(started)).toEqual({ 1: 'in\n' });
    expect(await engine.exec.inspect(exec)).toMatchObject({ Running: false, ExitCode: 4, ContainerID: Id });
    const logs: Buffer[] = [];
    for await (const { payload } of (await engine.containers.logs(Id, { stdout: true, tail: '1' })).pipe(
      frameDecoderStream(),
    ))
      logs.push(payload as Buffer);
    expect(Buffer.concat(logs).toString()).toBe('up\n');
    for await (const sample of engine.containers.stats(Id, { stream: false, oneShot: true }))
      expect(sample.id).toBe(Id);
    expect((await engine.containers.list({ filters: { label: { 't=1': true } } })).map(({ Names }) => Names)).toEqual([
      ['/life'],
    ]);
    expect(await engine.containers.stop(Id, { timeout: 0 })).toBe(true);
    expect(await engine.containers.stop(Id)).toBe(false);
    await engine.containers.remove(Id);
    const actions: string[] = [];
    const until = String(Math.ceil(Date.now() / 1000) + 1);
    for await (const event of engine.system.events({ since, until, filters: { container: { [Id]: true } } }))
      actions.push(event.Action.split(':')[0] ?? '');
    // a stop without patience sends TERM and KILL
    expect(actions).toEqual([
      'create',
      'start',
      'exec_create',
      'exec_start',
      'exec_die',
      'kill',
      'kill',
      'die',
      'stop',
      'destroy',
    ]);
  });

  it('turns refusals into errors by kind', async () => {
    await expect(engine.containers.inspect('nosuch')).rejects.toMatchObject({
      kind: 'notFound',
      message: 'No such container: nosuch',
    });
    await expect(engine.containers.attach('nosuch', { stream: true })).rejects.toMatchObject({ kind: 'notFound' });
    await engine.containers.create({ Image: 'busybox', Cmd: ['true'], ...none }, { name: 'taken' });
    await expect(
      engine.containers.create({ Image: 'busybox', Cmd: ['true'] }, { name: 'taken' }),
    ).rejects.toMatchObject({ kind: 'conflict' });
    await engine.containers.remove('taken');
    await using nobody = createEngineClient({ host: `unix://${directory}/nobody.sock` });
    await expect(nobody.system.info()).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('Is the docker daemon running?'),
    });
  });
});
