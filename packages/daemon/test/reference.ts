/** The distribution's dockerd in a network namespace of its own: what ours is compared with. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { poll } from '@boxship/base';
import { createEngineClient, type EngineClient } from '@boxship/engine-api';
import { unmountAll } from '@boxship/linux';
import { busyboxArchive, type CommandResult, runDocker } from './harness.ts';

export interface Reference extends AsyncDisposable {
  readonly client: EngineClient;
  /** The docker CLI on it. */
  docker(...args: readonly string[]): Promise<CommandResult>;
}

export async function startReference(): Promise<Reference> {
  const directory = mkdtempSync('/tmp/boxshipd-ref-');
  const netns = `bxr${randomBytes(4).toString('hex')}`;
  execFileSync('ip', ['netns', 'add', netns]);
  execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  writeFileSync(join(directory, 'daemon.json'), '{}');
  const socket = join(directory, 'docker.sock');
  const log = openSync(join(directory, 'log'), 'a');
  const args = [
    `--net=/run/netns/${netns}`, 'dockerd', '-H', `unix://${socket}`, '--data-root', join(directory, 'root'),
    '--exec-root', join(directory, 'exec'), '--pidfile', join(directory, 'pid'), '--config-file', join(directory, 'daemon.json'),
  ]; // biome-ignore format: pairs
  const child = spawn('nsenter', args, { stdio: ['ignore', log, log] });
  closeSync(log);
  const client = createEngineClient({ host: `unix://${socket}`, apiVersion: '1.41' });
  const isUp = await poll({ everyMs: 100, timeoutMs: 30_000 }, async () => {
    if (child.exitCode !== null) throw new Error(readFileSync(join(directory, 'log'), 'utf8'));
    return existsSync(socket) &&
      (await client.system.info().then(
        () => true,
        () => false,
      ))
      ? true
      : undefined;
  });
  if (isUp === undefined) throw new Error('reference daemon does not answer');
  for await (const _ of client.images.import(
    { repo: 'busybox', tag: 'latest' },
    Readable.from([busyboxArchive(directory)]),
  ));
  return {
    client,
    docker: (...args) => runDocker(socket, {}, ...args),
    async [Symbol.asyncDispose]() {
      for (const container of await client.containers.list({ all: true }))
        await client.containers.remove(container.Id, { force: true, v: true });
      await client[Symbol.asyncDispose]();
      child.kill('SIGTERM');
      await poll(
        { everyMs: 20, timeoutMs: 15_000 },
        () => child.exitCode !== null || child.signalCode !== null || undefined,
      );
      unmountAll(directory);
      execFileSync('ip', ['netns', 'del', netns]);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
