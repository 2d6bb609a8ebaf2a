import { execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type cgroups1, decodeAny, typeUrls } from '@boxship/api';
import { childrenOf, makeFifo, mount, openFifo, processStat, readNow, writeNow } from '@boxship/linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Harness, readJsonLog } from './harness.ts';

describe('a container under the shim', () => {
  let h: Harness;
  beforeAll(async () => {
    h = await Harness.start();
  });
  afterAll(async () => {
    await h[Symbol.asyncDispose]();
  });

  it('lives from create to delete, with its events in order', async () => {
    const log = join(h.root, 'a.log');
    const { id, pid } = await h.create(['sh', '-c', 'echo out; echo err >&2; exit 3'], { stdout: h.logUri(log) });
    expect(await h.task.state({ id, execId: '' })).toMatchObject({ id, pid, status: 1 });
    const waiting = h.wait(id);
    expect(await h.task.start({ id, execId: '' })).toEqual({ pid });
    expect(await waiting).toBe(3);
    expect(readJsonLog(log).map((r) => [r.stream, r.log])).toEqual([
      ['stdout', 'out\n'],
      ['stderr', 'err\n'],
    ]);
    expect(await h.task.state({ id, execId: '' })).toMatchObject({ status: 3, exitStatus: 3 });
    expect(await h.task.delete({ id, execId: '' })).toMatchObject({ pid, exitStatus: 3 });
    await h.until(() => h.topics(id).length === 4);
    expect(h.topics(id)).toEqual(['/tasks/create', '/tasks/start', '/tasks/exit', '/tasks/delete']);
    await expect(h.task.state({ id, execId: '' })).rejects.toMatchObject({
      kind: 'notFound',
      message: 'container not created',
    });
    expect(
      readdirSync(join(h.bundles, id)).filter((name) => !['config.json', 'init.pid', 'exit.json'].includes(name)),
    ).toEqual([]);
  });

  it('Wait may be asked before Start and by several', async () => {
    for (let i = 0; i < 5; i++) {
      const { id } = await h.create(['sh', '-c', `exit ${i * 50}`]);
      const waits = [h.wait(id), h.wait(id)];
      await h.task.start({ id, execId: '' });
      expect(await Promise.all(waits)).toEqual([i * 50, i * 50]);
      await h.task.delete({ id, execId: '' });
    }
  });

  it('execs run beside it, with their own output, codes and events', async () => {
    const log = join(h.root, 'exec.log');
    const { id } = await h.run1(['sleep', '100']);
    const codes = [0, 1, 42];
    const ids = await Promise.all(
      codes.map((c) => h.exec(id, ['sh', '-c', `echo e${c}; exit ${c}`], { stdout: h.logUri(log) })),
    );
    await Promise.all(ids.map((execId) => h.task.start({ id, execId })));
    expect(await Promise.all(ids.map((execId) => h.wait(id, execId)))).toEqual(codes);
    expect(
      readJsonLog(log)
        .map((r) => r.log)
        .toSorted(),
    ).toEqual(['e0\n', 'e1\n', 'e42\n']);
    for (const execId of ids) {
      expect((await h.task.state({ id, execId })).status).toBe(3);
      await h.task.delete({ id, execId });
      await expect(h.task.state({ id, execId })).rejects.toMatchObject({ kind: 'notFound' });
      const own = h.events.filter((e) => [e.value.execId, e.value.id].includes(execId)).map((e) => e.topic);
      expect(own).toEqual(['/tasks/exec-added', '/tasks/exec-started', '/tasks/exit']);
    }
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    expect(await h.wait(id)).toBe(137);
    await expect(h.task.kill({ id, execId: '', signal: 9, all: false })).rejects.toMatchObject({
      kind: 'notFound',
      message: 'process already finished',
    });
    await h.task.delete({ id, execId: '' });
  });

  it('a live exec whose init is killed does not block the end', async () => {
    const { id } = await h.run1(['sleep', '100']);
    const execId = await h.exec(id, ['sleep', '100']);
    await h.task.start({ id, execId });
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    expect(await h.wait(id)).toBe(137);
    expect(await h.wait(id, execId)).toBe(137);
    const exits = h.events
      .filter((e) => e.topic === '/tasks/exit' && e.value.containerId === id)
      .map((e) => e.value.id);
    expect(exits).toEqual([execId, id]);
    await h.task.delete({ id, execId: '' });
  });

  it("errors have containerd's codes and words", async () => {
    const { id } = await h.run1(['sleep', '100']);
    const init = { id, execId: '' };
    await expect(h.task.delete(init)).rejects.toMatchObject({
      kind: 'unknown',
      message: 'cannot delete a running process',
    });
    await expect(h.task.start(init)).rejects.toMatchObject({
      kind: 'unknown',
      message: 'cannot start a running process',
    });
    await expect(h.create(['true'], { id })).rejects.toMatchObject({ kind: 'alreadyExists' });
    const bad = await h.exec(id, ['/nope']);
    await expect(h.task.start({ id, execId: bad })).rejects.toMatchObject({
      kind: 'unknown',
      message: expect.stringMatching(/^OCI runtime exec failed: exec failed: .*"\/nope".*no such file/) as string,
    });
    expect((await h.task.state({ id, execId: bad })).status).toBe(1);
    expect(await h.task.delete({ id, execId: bad })).toMatchObject({ pid: 0, exitStatus: 0 });
    await expect(h.exec(id, ['ls'], { execId: '../x' })).rejects.toMatchObject({ kind: 'invalidArgument' });
    await h.task.kill({ ...init, signal: 0, all: false });
    await h.task.kill({ ...init, signal: 9, all: false });
    await h.wait(id);
    await expect(h.exec(id, ['ls'])).rejects.toMatchObject({
      kind: 'unknown',
      message: 'cannot exec in a stopped state',
    });
    await h.task.delete(init);
    await expect(h.create(['/nope'])).rejects.toMatchObject({
      kind: 'unknown',
      message: expect.stringMatching(/^OCI runtime create failed: runc create failed: /) as string,
    });
    await expect(h.create(['true'], { stdout: 'gopher:///x' })).rejects.toMatchObject({ kind: 'unimplemented' });
    await expect(h.create(['true'], { binary: 'no-such-runtime' })).rejects.toThrow(/executable file not found/);
    expect(readdirSync(join(h.root, 'runc', 'test'))).toEqual([]);
  });

  it('a container that was never started can be deleted', async () => {
    const { id } = await h.create(['sleep', '100']);
    expect(await h.task.delete({ id, execId: '' })).toMatchObject({ exitStatus: 137 });
  });

  it('pause, resume, update, pids and stats', async () => {
    const { id, pid } = await h.run1(['sleep', '100']);
    await h.task.pause({ id });
    expect((await h.task.state({ id, execId: '' })).status).toBe(4);
    await expect(h.task.pause({ id })).rejects.toMatchObject({ kind: 'unknown' });
    await h.task.resume({ id });
    const resources = { pids: { limit: 55 }, memory: { limit: 64 * 1024 * 1024 } };
    await h.task.update({
      id,
      resources: { typeUrl: typeUrls.linuxResources, value: Buffer.from(JSON.stringify(resources)) },
      annotations: {},
    });
    const { stats } = await h.task.stats({ id });
    const decoded = decodeAny(stats as NonNullable<typeof stats>);
    const metrics = (decoded as { value: cgroups1.Metrics }).value;
    expect(metrics.pids).toEqual({ current: 1n, limit: 55n });
    expect(metrics.memory?.usage?.limit).toBe(64n * 1024n * 1024n);
    expect(metrics.cpu?.usage?.total).toBeGreaterThan(0n);
    const execId = await h.exec(id, ['sleep', '50']);
    const exec = await h.task.start({ id, execId });
    const { processes } = await h.task.pids({ id });
    expect(
      processes
        .map((p) => [
          p.pid,
          p.info === undefined ? '' : (decodeAny(p.info) as { value: { execId: string } }).value.execId,
        ])
        .toSorted(),
    ).toEqual(
      [
        [pid, ''],
        [exec.pid, execId],
      ].toSorted(),
    );
    await h.task.kill({ id, execId: '', signal: 9, all: true });
    await h.wait(id);
    await h.task.stats({ id });
    await h.task.delete({ id, execId: '' });
    expect(h.topics(id)).toContain('/tasks/paused');
  });

  it('a kill for want of memory is told before the exit', async () => {
    const { id } = await h.run1(['sh', '-c', 'x=a; while :; do x=$x$x; done'], { spec: { memoryLimit: 8_000_000 } });
    expect(await h.wait(id)).toBe(137);
    await h.until(() => h.topics(id).includes('/tasks/exit'));
    expect(h.topics(id)).toEqual(['/tasks/create', '/tasks/start', '/tasks/oom', '/tasks/exit']);
    expect(JSON.parse(readFileSync(join(h.bundles, id, 'exit.json'), 'utf8'))).toMatchObject({
      exitStatus: 137,
      oom: true,
    });
    await h.task.delete({ id, execId: '' });
  });

  it('without a pid namespace of its own, the others end with the init', async () => {
    const { id } = await h.run1(['sh', '-c', 'sleep 777 & sleep 777 & sleep 100'], { spec: { isHostPid: true } });
    await h.until(() => execFileSync('sh', ['-c', 'pgrep -fc "^sleep 777" || true']).toString().trim() === '2');
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    expect(await h.wait(id)).toBe(137);
    await h.until(() => execFileSync('sh', ['-c', 'pgrep -fc "^sleep 777" || true']).toString().trim() === '0');
    await h.task.delete({ id, execId: '' });
    // the orphans were ours: their zombies must go too
    await h.until(() => childrenOf(h.shimPid).every((pid) => processStat(pid)?.state !== 'Z'));
  });

  it('ends nobody else when such an init is gone at once', async () => {
    const bystander = spawn('sleep', ['100'], { stdio: 'ignore' });
    try {
      for (let i = 0; i < 5; i++) {
        const { id } = await h.run1(['true'], { spec: { isHostPid: true } });
        await h.wait(id);
        await h.task.delete({ id, execId: '' });
      }
      expect(bystander.signalCode).toBeNull();
    } finally {
      bystander.kill();
    }
  });

  it('an exec whose grandchild holds its output is reported at once', async () => {
    const { id } = await h.run1(['sleep', '100']);
    const execId = await h.exec(id, ['sh', '-c', 'sleep 60 & exit 5'], { stdout: h.logUri(join(h.root, 'gc.log')) });
    await h.task.start({ id, execId });
    const before = performance.now();
    expect(await h.wait(id, execId)).toBe(5);
    expect(performance.now() - before).toBeLessThan(2500);
    await h.task.delete({ id, execId });
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    await h.wait(id);
    await h.task.delete({ id, execId: '' });
  });

  it('leaves nothing behind: descriptors, zombies, mounts', async () => {
    const count = () => readdirSync(`/proc/${h.shimPid}/fd`).length;
    const cycle = async () => {
      const { id } = await h.run1(['sh', '-c', 'echo x; exit 0'], { stdout: h.logUri(join(h.root, 'fd.log')) });
      await h.wait(id);
      await h.task.delete({ id, execId: '' });
    };
    await cycle();
    const before = count();
    for (let i = 0; i < 5; i++) await cycle();
    await h.until(() => count() <= before);
    await h.until(() => childrenOf(h.shimPid).length === 0);
  });
});

describe('input and output', () => {
  let h: Harness;
  beforeAll(async () => {
    h = await Harness.start();
  });
  afterAll(async () => {
    await h[Symbol.asyncDispose]();
  });
  const end = async (id: string) => {
    await h.task.kill({ id, execId: '', signal: 9, all: false }).catch(() => {});
    await h.wait(id);
    await h.task.delete({ id, execId: '' });
  };
  const fifo = (name: string) => {
    const path = join(h.root, name);
    makeFifo(path);
    return path;
  };

  it('FIFOs of a client: input, half close, output, end', async () => {
    const [stdin, stdout, stderr] = ['i1', 'o1', 'e1'].map(fifo) as [string, string, string];
    const out = openFifo(stdout, { access: 'read' });
    const err = openFifo(stderr, { access: 'read' });
    const { id } = await h.run1(['sh', '-c', 'cat; echo done >&2; exit 4'], { stdin, stdout, stderr });
    const into = openFifo(stdin, { access: 'write' });
    writeNow(into, Buffer.from('hello\n'));
    const read = collector();
    await h.until(() => read(out) === 'hello\n');
    closeSync(into); // the client leaves: the container must not notice
    const again = openFifo(stdin, { access: 'write' });
    writeNow(again, Buffer.from('again\n'));
    await h.until(() => read(out) === 'hello\nagain\n');
    closeSync(again);
    expect((await h.task.state({ id, execId: '' })).status).toBe(2);
    await h.task.closeIo({ id, execId: '', stdin: true });
    await h.task.closeIo({ id, execId: '', stdin: true });
    expect(await h.wait(id)).toBe(4);
    const readErr = collector();
    await h.until(() => readErr(err) === 'done\n');
    // the end shows to the client too
    await h.until(() => readNow(out, Buffer.alloc(10)) === 0 && readNow(err, Buffer.alloc(10)) === 0);
    await h.task.delete({ id, execId: '' });
    closeSync(out);
    closeSync(err);
  });

  it('a client that reads nothing stops the container, not the shim', async () => {
    const stdout = fifo('slow');
    const out = openFifo(stdout, { access: 'read' });
    const { id } = await h.run1(['sh', '-c', 'yes | head -c 5000000'], { stdout });
    expect((await h.task.state({ id, execId: '' }, { timeoutMs: 1000 })).status).toBe(2);
    let total = 0;
    const buffer = Buffer.alloc(65536);
    await h.until(() => {
      for (let n = readNow(out, buffer); n > 0; n = readNow(out, buffer)) total += n;
      return total === 5_000_000;
    });
    expect(await h.wait(id)).toBe(0);
    await h.task.delete({ id, execId: '' });
    closeSync(out);
  });

  it('file:// takes both streams', async () => {
    const file = join(h.root, 'deep/er/log');
    const { id } = await h.run1(['sh', '-c', 'for i in 1 2 3; do echo o; echo e >&2; done'], {
      stdout: `file://${file}`,
    });
    await h.wait(id);
    expect(readFileSync(file, 'utf8').split('\n').toSorted()).toEqual(['', 'e', 'e', 'e', 'o', 'o', 'o']);
    await h.task.delete({ id, execId: '' });
  });

  it('file:// takes any amount, and one that takes no more does not stop the container', async () => {
    const small = join(h.root, 'small');
    mkdirSync(small);
    mount({ type: 'tmpfs', source: 'tmpfs', target: small, options: ['size=1m'] });
    const bytes = 30_000_000;
    for (const [file, taken] of [
      [join(h.root, 'large.log'), bytes],
      [join(small, 'full.log'), 1024 * 1024],
    ] as const) {
      const { id } = await h.run1(['sh', '-c', `yes 0123456789 | head -c ${bytes}; exit 3`], {
        stdout: `file://${file}`,
      });
      expect(await h.wait(id)).toBe(3);
      await h.until(() => statSync(file).size === taken);
      await h.task.delete({ id, execId: '' });
    }
  });

  it('binary:// starts a foreign program with the descriptors of the convention', async () => {
    const program = join(h.root, 'prog');
    const out = join(h.root, 'prog.out');
    writeFileSync(
      program,
      `#!/bin/sh\necho "$@ $CONTAINER_ID $CONTAINER_NAMESPACE" > ${out}\nexec 5>&-\ncat <&3 >> ${out}\ncat <&4 >> ${out}\n`,
      { mode: 0o755 },
    );
    const { id } = await h.run1(['sh', '-c', 'echo o; echo e >&2'], { stdout: `binary://${program}?a=b&c=d` });
    await h.wait(id);
    await h.until(() => readFileSync(out, 'utf8') === `a b c d ${id} test\no\ne\n`);
    await h.task.delete({ id, execId: '' });
    await expect(h.create(['true'], { stdout: `binary://${h.root}/absent` })).rejects.toThrow(/logging program/);
  });

  it('the attach socket gives all output from its connection on, framed, and ends with it', async () => {
    const attach = join(h.root, 'attach.sock');
    const { id } = await h.create(['sh', '-c', 'echo out; echo err >&2; printf tail'], {
      stdout: h.logUri(join(h.root, 'at.log'), { attach }),
    });
    const received = collectSocket(attach);
    await received.connected;
    await h.task.start({ id, execId: '' });
    const bytes = await received.bytes;
    const frames = [];
    for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32BE(at + 4))
      frames.push([bytes[at], bytes.toString('utf8', at + 8, at + 8 + bytes.readUInt32BE(at + 4))]);
    expect(
      frames
        .filter((f) => f[0] === 1)
        .map((f) => f[1])
        .join(''),
    ).toBe('out\ntail');
    expect(
      frames
        .filter((f) => f[0] === 2)
        .map((f) => f[1])
        .join(''),
    ).toBe('err\n');
    expect(existsSync(attach)).toBe(false);
    await h.wait(id);
    expect(readJsonLog(join(h.root, 'at.log')).map((r) => r.log)).toEqual(
      expect.arrayContaining(['out\n', 'err\n', 'tail']),
    );
    await h.task.delete({ id, execId: '' });
  });

  it('an attached reader that takes nothing is cut, and nothing is lost for the log', async () => {
    const attach = join(h.root, 'attach2.sock');
    const log = join(h.root, 'at2.log');
    const { id } = await h.create(['sh', '-c', 'yes 0123456789abcdef0123456789abcdef | head -n 400000'], {
      stdout: h.logUri(log, { driver: 'json-file', attach }),
    });
    const socket = connect({ path: attach });
    socket.pause();
    await new Promise((resolve) => socket.once('connect', resolve));
    const closed = new Promise((resolve) => socket.once('close', resolve));
    await h.task.start({ id, execId: '' });
    expect((await h.task.wait({ id, execId: '' }, { timeoutMs: 25_000 })).exitStatus).toBe(0);
    await h.until(() => countLines(log) === 400_000, 20_000);
    socket.resume();
    await closed;
    await h.task.delete({ id, execId: '' });
  }, 60_000);

  it('a terminal: size, keystrokes, no doubled carriage return', async () => {
    const [stdin, stdout] = ['ti', 'to'].map(fifo) as [string, string];
    const out = openFifo(stdout, { access: 'read' });
    const into = openFifo(stdin, { access: 'read-write' });
    const { id } = await h.create(['sh', '-c', 'tty; read line; echo got $line; stty size; exit 6'], {
      terminal: true,
      stdin,
      stdout,
    });
    await h.task.resizePty({ id, execId: '', width: 123, height: 45 });
    await h.task.start({ id, execId: '' });
    const read = collector();
    await h.until(() => read(out).includes('/dev/pts/0\r\n'));
    expect(read(out)).not.toContain('\r\r\n');
    writeNow(into, Buffer.from('keys\r'));
    expect(await h.wait(id)).toBe(6);
    await h.until(() => read(out).endsWith('got keys\r\n45 123\r\n'));
    await h.task.delete({ id, execId: '' });
    closeSync(out);
    closeSync(into);
  });

  it('a terminal for an exec', async () => {
    const stdout = fifo('teo');
    const out = openFifo(stdout, { access: 'read' });
    const { id } = await h.run1(['sleep', '100']);
    const execId = await h.exec(id, ['sh', '-c', 'tty; exit 9'], { terminal: true, stdout });
    await h.task.start({ id, execId });
    expect(await h.wait(id, execId)).toBe(9);
    const read = collector();
    await h.until(() => read(out).includes('/dev/pts/'));
    await h.task.delete({ id, execId });
    closeSync(out);
    await end(id);
  });

  it('a planted symlink in place of a FIFO is refused', async () => {
    const id = h.newId();
    const bundle = h.bundle(id, ['true']);
    const victim = join(h.root, 'victim');
    writeFileSync(victim, 'untouched');
    symlinkSync(victim, join(bundle, 'init.stdout'));
    await expect(h.create(['true'], { id, stdout: h.logUri(join(h.root, 'v.log')) })).rejects.toThrow();
    expect(readFileSync(victim, 'utf8')).toBe('untouched');
  });
});

/** Accumulates what a non-blocking descriptor has. */
function collector(): (fd: number) => string {
  let text = '';
  const buffer = Buffer.alloc(65536);
  return (fd) => {
    const n = readNow(fd, buffer);
    if (n > 0) text += buffer.toString('utf8', 0, n);
    return text;
  };
}

function collectSocket(path: string): { readonly connected: Promise<void>; readonly bytes: Promise<Buffer> } {
  const socket = connect({ path });
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  return {
    connected: new Promise((resolve) => socket.once('connect', () => resolve())),
    bytes: new Promise((resolve) => socket.once('end', () => resolve(Buffer.concat(chunks)))),
  };
}

function countLines(path: string): number {
  const bytes = readFileSync(path);
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}
