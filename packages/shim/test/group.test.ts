/** One shim for many: numbers, the actions of the program, events while containerd is away. */
import { closeSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runtimeInfo, shimTask } from '@boxship/api';
import { childrenOf, isMountPoint, makeFifo, openFifo, processStat, readNow, writeNow } from '@boxship/linux';
import { TtrpcClient } from '@boxship/ttrpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Harness, readJsonLog } from './harness.ts';

let h: Harness;
beforeEach(async () => {
  h = await Harness.start();
});
afterEach(async () => {
  await h[Symbol.asyncDispose]();
});

describe('one shim', () => {
  it('supervises 50 containers at once, each with its own code and log', async () => {
    const all = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => {
        const log = join(h.root, `m${i}.log`);
        const { id } = await h.create(['sh', '-c', `echo number ${i}; sleep 1; exit ${i}`], { stdout: h.logUri(log) });
        const code = h.task.wait({ id, execId: '' });
        await h.task.start({ id, execId: '' });
        return { id, log, code };
      }),
    );
    // no process of ours per container: one keeper for all, and the last one on its way out
    expect(childrenOf(h.shimPid).length).toBeLessThanOrEqual(50 + 2);
    for (const [i, { id, log, code }] of all.entries()) {
      expect((await code).exitStatus).toBe(i);
      expect(readJsonLog(log).map((r) => r.log)).toEqual([`number ${i}\n`]);
      await h.task.delete({ id, execId: '' });
      expect(h.topics(id)).toEqual(
        ['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete'].slice(0, h.topics(id).length),
      );
    }
    await h.until(() => childrenOf(h.shimPid).length === 0);
  }, 90_000);

  it('20 containers with idle input and output do not hold up an exec', async () => {
    const fds: number[] = [];
    const ids = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const [stdin, stdout] = [`i${i}`, `o${i}`].map((n) => join(h.root, n)) as [string, string];
        makeFifo(stdin);
        makeFifo(stdout);
        const out = openFifo(stdout, { access: 'read' });
        const { id } = await h.run1(['cat'], { stdin, stdout });
        const into = openFifo(stdin, { access: 'write' });
        fds.push(out, into);
        return { id, into, out };
      }),
    );
    const [first] = ids;
    const execId = await h.exec(first?.id ?? '', ['true']);
    await h.task.start({ id: first?.id ?? '', execId }, { timeoutMs: 5000 });
    expect(await h.wait(first?.id ?? '', execId)).toBe(0);
    for (const { into } of ids) writeNow(into, Buffer.from('ping'));
    const buffer = Buffer.alloc(10);
    for (const { out } of ids) await h.until(() => readNow(out, buffer) === 4);
    for (const { id } of ids) await h.task.kill({ id, execId: '', signal: 9, all: false });
    for (const { id } of ids) {
      expect(await h.wait(id)).toBe(137);
      await h.task.delete({ id, execId: '' });
    }
    for (const fd of fds) closeSync(fd);
  }, 60_000);

  it('that is warm stays when the last container is gone and Shutdown is asked', async () => {
    const { id } = await h.run1(['true']);
    await h.wait(id);
    await h.task.delete({ id, execId: '' });
    await h.task.shutdown({ id, now: false });
    await h.task.shutdown({ id: 'g', now: true });
    expect((await h.task.connect({ id: '' })).shimPid).toBe(h.shimPid);
  });

  it('that gets SIGTERM leaves its containers running, and the next one has them', async () => {
    const { id, pid } = await h.run1(['sleep', '100']);
    const before = h.shimPid;
    process.kill(before, 'SIGTERM');
    await h.client.closed;
    await h.until(() => [undefined, 'Z'].includes(processStat(before)?.state));
    await h.startShim();
    expect(h.shimPid).not.toBe(before);
    expect(await h.task.state({ id, execId: '' })).toMatchObject({ pid, status: 2 });
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    expect(await h.wait(id)).toBe(137);
    await h.task.delete({ id, execId: '' });
  });

  it('is found by a second start of the same group, also when both start at once', async () => {
    const before = h.shimPid;
    const addresses = await Promise.all([1, 2, 3].map(() => h.run(['-id', 'g', 'start'], join(h.bundles, '.group-g'))));
    expect(new Set(addresses).size).toBe(1);
    await h.startShim();
    expect(h.shimPid).toBe(before);
    const other = join(h.bundles, '.group-other');
    mkdirSync(other);
    const fresh = await Promise.all([1, 2, 3].map(() => h.run(['-id', 'other', 'start'], other)));
    expect(new Set(fresh).size).toBe(1);
    const client = await TtrpcClient.connect(fresh[0] ?? '');
    const { shimPid } = await client.service(shimTask.TaskService, 'containerd.task.v3.Task').connect({ id: '' });
    process.kill(shimPid, 'SIGTERM');
    await client.closed;
  });

  it('keeps events while nobody takes them, and their order', async () => {
    const { id } = await h.run1(['sleep', '100']);
    await h.until(() => h.topics(id).length === 2);
    await h.stopEvents();
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    await h.wait(id);
    await h.task.delete({ id, execId: '' });
    await h.listenForEvents();
    await h.until(() => h.topics(id).length === 4);
    expect(h.topics(id)).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    expect(h.events.every((e) => e.namespace === 'test')).toBe(true);
  });

  it('mounts the root file system that Create names and unmounts it at Delete', async () => {
    const id = h.newId();
    const bundle = h.bundle(id, ['sh', '-c', 'echo changed > /tmp/f'], { rootfs: 'rootfs' });
    const [upper, work] = ['upper', 'work'].map((name) => join(h.root, name)) as [string, string];
    mkdirSync(upper);
    mkdirSync(work);
    const options = [`lowerdir=${h.rootfs}`, `upperdir=${upper}`, `workdir=${work}`];
    await h.task.create({
      id,
      bundle,
      rootfs: [{ type: 'overlay', source: 'overlay', target: '', options }],
      terminal: false,
      stdin: '',
      stdout: '',
      stderr: '',
      checkpoint: '',
      parentCheckpoint: '',
      options: { typeUrl: 'containerd.runc.v1.Options', value: h.options() },
    });
    expect(isMountPoint(join(bundle, 'rootfs'))).toBe(true);
    await h.task.start({ id, execId: '' });
    expect(await h.wait(id)).toBe(0);
    await h.task.delete({ id, execId: '' });
    expect(isMountPoint(join(bundle, 'rootfs'))).toBe(false);
    expect(readFileSync(join(upper, 'tmp/f'), 'utf8')).toBe('changed\n');
  });
});

describe('the program', () => {
  it('delete removes what a dead shim left, and answers for half a bundle', async () => {
    const { id, pid, bundle } = await h.run1(['sleep', '100']);
    process.kill(h.shimPid, 'SIGKILL');
    await h.client.closed;
    const output = await h.runRaw(['-id', id, '-bundle', bundle, 'delete'], bundle);
    expect(shimTask.DeleteResponse.decode(output)).toMatchObject({ pid, exitStatus: 137 });
    await h.until(() => [undefined, 'Z'].includes(processStat(pid)?.state));
    expect(existsSync(join(h.root, 'runc/test', id))).toBe(false);
    const nothing = join(h.bundles, 'nothing');
    mkdirSync(nothing);
    expect(shimTask.DeleteResponse.decode(await h.runRaw(['-id', 'nothing', 'delete'], nothing))).toMatchObject({
      pid: 0,
      exitStatus: 137,
    });
    await h.startShim();
  });

  it('start answers in JSON to a containerd that says it reads it, and fails with words on standard error', async () => {
    h.environment['MAX_SHIM_VERSION'] = '3';
    const answer = await h.run(['-id', 'g', 'start'], join(h.bundles, '.group-g'));
    expect(JSON.parse(answer)).toMatchObject({
      version: 3,
      protocol: 'ttrpc',
      address: expect.stringMatching(/^unix:\/\//) as string,
    });
    const broken = join(h.bundles, 'broken');
    mkdirSync(broken);
    writeFileSync(join(broken, 'config.json'), '{');
    await expect(h.run(['-id', 'broken', 'start'], broken)).rejects.toThrow(/JSON/);
  });

  it('-info describes itself', async () => {
    const info = runtimeInfo.RuntimeInfo.decode(await h.runRaw(['-info'], h.root));
    expect(info).toMatchObject({ name: 'io.containerd.boxship.v2', version: { version: '0.1.0' } });
  });
});
