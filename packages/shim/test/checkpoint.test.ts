/**
 * Checkpoints. What needs a CRIU that matches the kernel is skipped where there is none, and run in the virtual machine
 * (virtual-machine.test.ts).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, mkdirSync, openSync, readdirSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { runcOptions } from '@boxship/api';
import { makeFifo, processStat } from '@boxship/linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CreateTestOptions, Harness, kill, namespace, readJsonLog } from './harness.ts';

const isCriuWorking = spawnSync('criu', ['check'], { stdio: 'ignore' }).status === 0;
const TIMEOUT_MS = 120_000;

let h: Harness;
beforeAll(async () => {
  h = await Harness.start();
}, TIMEOUT_MS);
afterAll(async () => await h[Symbol.asyncDispose]());

const options = (value: Partial<runcOptions.CheckpointOptions>) => ({
  typeUrl: 'containerd.runc.v1.CheckpointOptions',
  value: Buffer.from(runcOptions.CheckpointOptions.encode(runcOptions.CheckpointOptions.create(value)).finish()),
});

const pidOf = async (id: string) => (await h.task.state({ id, execId: '' })).pid;
const statusOf = async (id: string) => (await h.task.state({ id, execId: '' })).status;
const CREATED = 1;
const RUNNING = 2;
const PAUSED = 4;

async function end(id: string): Promise<void> {
  await h.task.kill({ id, execId: '', signal: 9, all: false });
  expect(await h.wait(id)).toBe(137);
  await h.task.delete({ id, execId: '' });
}

/** Nothing of ours beside what every container has. */
const strays = (bundle: string) => readdirSync(bundle).filter((name) => /criu|checkpoint|\.conf/.test(name));

describe('a checkpoint that fails', () => {
  it('says why, leaves the container running and the directory as it was', async () => {
    const { id, bundle } = await h.run1(['sleep', '1000'], { stdout: h.logUri(join(h.root, 'f.log')) });
    const made = join(bundle, 'made');
    const given = join(bundle, 'given');
    mkdirSync(given);
    // fails with any CRIU, and without
    const failing = options({ emptyNamespaces: ['nonsense'] });
    for (const path of [made, given])
      await expect(h.task.checkpoint({ id, path, options: failing })).rejects.toThrow(
        /^OCI runtime checkpoint failed: ./,
      );
    expect(existsSync(made)).toBe(false);
    expect(readdirSync(given)).toEqual([]);
    expect(strays(bundle)).toEqual([]);
    expect(await statusOf(id)).toBe(RUNNING);
    expect(h.topics(id)).not.toContain('/tasks/checkpointed');
    await end(id);
  });

  it('leaves a paused container paused', async () => {
    const { id, bundle } = await h.run1(['sleep', '1000']);
    await h.task.pause({ id });
    const path = join(bundle, 'image');
    await expect(
      h.task.checkpoint({ id, path, options: options({ emptyNamespaces: ['nonsense'] }) }),
    ).rejects.toThrow();
    expect(await statusOf(id)).toBe(PAUSED);
    await h.task.resume({ id });
    await end(id);
  });

  it('is refused before anything runs for a container that is not started, and for a path that is not absolute', async () => {
    const { id } = await h.create(['sleep', '1000']);
    await expect(h.task.checkpoint({ id, path: '/nowhere', options: undefined })).rejects.toThrow(
      'cannot checkpoint a task in created state',
    );
    await expect(h.task.checkpoint({ id, path: 'here', options: undefined })).rejects.toThrow('not an absolute path');
    await h.task.delete({ id, execId: '' });
  });
});

describe('what is to be restored', () => {
  it('has no process before its start; an image that is none is told by the start, and it can be deleted', async () => {
    const checkpoint = join(h.root, 'no-image');
    mkdirSync(checkpoint);
    const { id, bundle, pid } = await h.create(['sleep', '1000'], {
      checkpoint,
      stdout: h.logUri(join(h.root, 'n.log')),
    });
    expect(pid).toBe(0);
    expect(await statusOf(id)).toBe(CREATED);
    for (let attempt = 0; attempt < 2; attempt++) {
      await expect(h.task.start({ id, execId: '' })).rejects.toThrow(/^OCI runtime restore failed: ./);
      expect(await statusOf(id)).toBe(CREATED);
    }
    // a successor of the shim finds it as it was
    kill(h.shimPid);
    await h.client.closed;
    await h.startShim();
    expect(await statusOf(id)).toBe(CREATED);
    expect(await h.task.delete({ id, execId: '' })).toMatchObject({ pid: 0, exitStatus: 0 });
    expect(readdirSync(bundle).filter((name) => /criu|init\.std|shim\.json|exit/.test(name))).toEqual([]);
    expect(existsSync(join(h.root, 'runc', namespace, id))).toBe(false);
  });
});

describe.skipIf(!isCriuWorking)('a container under CRIU', () => {
  const counter = 'trap "echo end; exit 7" TERM; i=0; while :; do i=$((i+1)); echo $i; usleep 20000; done';
  const lines = (log: string) => readJsonLog(log).map((record) => record.log.trim());
  const upTo = (n: number) => Array.from({ length: n }, (_, index) => String(index + 1));
  let images = 0;

  async function checkpoint(id: string, value: Partial<runcOptions.CheckpointOptions> = {}): Promise<string> {
    const path = join(h.root, `image-${images++}`);
    await h.task.checkpoint({ id, path, options: options(value) }, { timeoutMs: TIMEOUT_MS });
    return path;
  }
  const restore = (from: string, args: readonly string[], more: CreateTestOptions = {}) =>
    h.run1(args, { checkpoint: from, ...more });

  it(
    'goes on in another container where it was: no line twice, none missing, its exit code',
    async () => {
      const [before, after] = [join(h.root, 'before.log'), join(h.root, 'after.log')];
      const args = ['sh', '-c', counter];
      const { id, bundle } = await h.run1(args, { stdout: h.logUri(before) });
      await h.until(() => existsSync(before) && lines(before).length > 3, TIMEOUT_MS);
      const kept = await checkpoint(id);
      const said = lines(before).length;
      expect(await statusOf(id)).toBe(RUNNING);
      await h.until(() => lines(before).length > said, TIMEOUT_MS);
      const path = await checkpoint(id, { exit: true });
      expect(await h.wait(id)).toBe(137);
      await h.until(() => h.topics(id).includes('/tasks/exit'));
      expect(h.topics(id).filter((topic) => topic === '/tasks/checkpointed')).toHaveLength(2);
      const last = lines(before).length;
      expect(lines(before)).toEqual(upTo(last));
      await h.task.delete({ id, execId: '' });
      expect(strays(bundle)).toEqual([]);

      const restored = await restore(path, args, { stdout: h.logUri(after) });
      expect(await pidOf(restored.id)).toBeGreaterThan(0);
      await h.until(() => existsSync(after) && lines(after).length > 3, TIMEOUT_MS);
      await h.task.kill({ id: restored.id, execId: '', signal: 15, all: false });
      expect(await h.wait(restored.id)).toBe(7);
      await h.task.delete({ id: restored.id, execId: '' });
      const all = [...lines(before), ...lines(after)];
      expect(all).toEqual([...upTo(all.length - 1), 'end']);
      expect(h.topics(restored.id)).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
      expect(existsSync(kept)).toBe(true);
    },
    TIMEOUT_MS,
  );

  it(
    'that waits for its start, or runs, outlives the shim',
    async () => {
      const log = join(h.root, 'k.log');
      const args = ['sh', '-c', counter];
      const first = await h.run1(args, { stdout: h.logUri(join(h.root, 'k0.log')) });
      const path = await checkpoint(first.id, { exit: true });
      await h.wait(first.id);
      await h.task.delete({ id: first.id, execId: '' });
      const { id } = await h.create(args, { checkpoint: path, stdout: h.logUri(log) });
      const succeed = async () => {
        kill(h.shimPid);
        await h.client.closed;
        await h.startShim();
      };
      await succeed();
      const { pid } = await h.task.start({ id, execId: '' }, { timeoutMs: TIMEOUT_MS });
      await h.until(() => existsSync(log) && lines(log).length > 3, TIMEOUT_MS);
      await succeed();
      expect(await pidOf(id)).toBe(pid);
      const said = lines(log).length;
      await h.until(() => lines(log).length > said + 3, TIMEOUT_MS);
      // the shim dies in the middle of a dump
      const dying = h.task
        .checkpoint({ id, path: join(h.root, 'image-k'), options: options({}) })
        .catch((e: unknown) => e);
      await h.until(() => existsSync(join(h.root, 'image-k')), TIMEOUT_MS);
      await succeed();
      expect(await dying).toBeInstanceOf(Error);
      const then = lines(log).length;
      await h.until(() => lines(log).length > then + 3, TIMEOUT_MS);
      expect(await statusOf(id)).toBe(RUNNING);
      const numbers = lines(log).map(Number);
      expect(numbers.every((number, index) => number === (numbers[0] ?? 0) + index)).toBe(true);
      expect(processStat(pid)).toBeDefined();
      await h.task.kill({ id, execId: '', signal: 9, all: false });
      await h.wait(id);
      await h.task.delete({ id, execId: '' });
    },
    TIMEOUT_MS,
  );

  it(
    'takes its terminal along, and what was not yet read of its input',
    async () => {
      const fifo = (name: string) => {
        const path = join(h.root, name);
        makeFifo(path);
        return path;
      };
      const [stdin, stdout, stdin2, stdout2] = ['i', 'o', 'i2', 'o2'].map((name) => fifo(`t-${name}`)) as [
        string,
        string,
        string,
        string,
      ];
      const hold = [stdin, stdout, stdin2, stdout2].map((path) =>
        openSync(path, constants.O_RDWR | constants.O_NONBLOCK),
      );
      const args = ['sh', '-c', 'while read line; do echo "got $line"; done'];
      const first = await h.run1(args, { stdin, stdout, terminal: true });
      const path = await checkpoint(first.id, { exit: true });
      await h.wait(first.id);
      await h.task.delete({ id: first.id, execId: '' });
      const second = await restore(path, args, { stdin: stdin2, stdout: stdout2, terminal: true });
      writeSync(hold[2] ?? -1, 'hello\n');
      const out = execFileSync('timeout', ['20', 'sed', '/got hello/q', stdout2]).toString();
      expect(out).toContain('got hello');
      await end(second.id);
      for (const fd of hold) closeSync(fd);
    },
    TIMEOUT_MS,
  );
});
