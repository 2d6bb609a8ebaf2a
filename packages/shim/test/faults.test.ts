/** What containers and the machine do to a shim: awkward output, orphans without number, a pid that is somebody else's by now. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { childrenOf, processStat } from '@boxship/linux';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inFull } from '../../tooling/full.ts';
import { Harness, kill, readJsonLog } from './harness.ts';

let h: Harness;
beforeAll(async () => {
  h = await Harness.start();
});
afterAll(async () => {
  await h[Symbol.asyncDispose]();
});

const MiB = 1024 * 1024;
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Payloads of an attach socket to its end. */
async function readAttached(path: string, started: () => Promise<unknown>): Promise<Buffer> {
  const socket = connect({ path });
  const chunks: Buffer[] = [];
  const ended = new Promise((resolve) => socket.once('close', resolve));
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('connect', resolve));
  await started();
  await ended;
  const bytes = Buffer.concat(chunks);
  const payloads: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32BE(at + 4))
    payloads.push(bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at + 4)));
  return Buffer.concat(payloads);
}

/** The lines of a log of the driver `local`: each record stands between two copies of its length. */
function localLines(path: string): Buffer {
  const bytes = readFileSync(path);
  const lines: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += 8 + bytes.readUInt32BE(at)) {
    const record = bytes.subarray(at + 4, at + 4 + bytes.readUInt32BE(at));
    let isPartial = false;
    let line = Buffer.alloc(0);
    for (let i = 0; i < record.length; ) {
      const tag = record[i++] as number;
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = record[i++] as number;
        value += (byte & 0x7f) * 2 ** shift;
        if (byte < 0x80) break;
      }
      if (tag === 0x20) isPartial = value === 1;
      if ((tag & 7) !== 2) continue;
      const content = record.subarray(i, i + value);
      if (tag === 0x1a) line = content;
      // the last part of a cut line says so (field 1 of the metadata), and a newline followed it
      if (tag === 0x2a && content[0] === 0x08 && content[1] === 1) isPartial = false;
      i += value;
    }
    lines.push(line, isPartial ? Buffer.alloc(0) : Buffer.from('\n'));
  }
  return Buffer.concat(lines);
}

describe('output of any kind', () => {
  const size = inFull(100, 4) * MiB;
  const kinds: readonly (readonly [string, Buffer])[] = [
    ['zeros without a newline', Buffer.alloc(size)],
    ['one line of a MiB and others', Buffer.from(`${'x'.repeat(MiB)}\nshort\n${'é'.repeat(20_000)}\n`)],
    ['carriage returns and empty lines', Buffer.from('a\r\n\r\n\n\nb\r'.repeat(5000))],
    ['bytes that are no UTF-8', Buffer.from(Array.from({ length: 256 * 400 }, (_, i) => i % 256))],
  ];
  it.each(kinds)(
    '%s: attached readers and the log get every byte',
    async (_name, bytes) => {
      const attach = join(h.root, `${h.newId()}.sock`);
      const log = join(h.root, `${h.newId()}.log`);
      writeFileSync(join(h.rootfs, 'tmp/content'), bytes);
      const uri = h.logUri(log, { driver: 'local', attach, 'max-size': String(10 ** 9) });
      const { id } = await h.create(['cat', '/tmp/content'], { stdout: uri });
      const received = await readAttached(attach, () => h.task.start({ id, execId: '' }));
      expect(await h.wait(id)).toBe(0);
      await h.task.delete({ id, execId: '' });
      expect(received.length).toBe(bytes.length);
      expect(digest(received)).toBe(digest(bytes));
      expect(digest(localLines(log))).toBe(digest(bytes));
    },
    inFull(300_000, 60_000),
  );

  it('json-file cuts lines at 16 KiB and gives valid text back whole', async () => {
    const log = join(h.root, 'j.log');
    const text = `${'é€😀x'.repeat(30_000)}\n`;
    writeFileSync(join(h.rootfs, 'tmp/content'), text);
    const { id } = await h.run1(['cat', '/tmp/content'], { stdout: h.logUri(log) });
    expect(await h.wait(id)).toBe(0);
    await h.task.delete({ id, execId: '' });
    const records = readJsonLog(log);
    expect(records.every((record) => Buffer.byteLength(record.log) <= 16 * 1024)).toBe(true);
    expect(records.map((record) => record.log).join('')).toBe(text);
  });
});

describe('processes', () => {
  it(
    'orphans without number leave no zombie with the shim',
    async () => {
      const count = inFull(10_000, 500);
      const script = `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); (: &); done; exit 3`;
      const { id } = await h.run1(['sh', '-c', script], { spec: { isHostPid: true } });
      expect((await h.task.wait({ id, execId: '' }, { timeoutMs: inFull(240_000, 25_000) })).exitStatus).toBe(3);
      const zombies = () => childrenOf(h.shimPid).filter((pid) => processStat(pid)?.state === 'Z');
      await h.until(() => zombies().length === 0, 15_000);
      await h.task.delete({ id, execId: '' });
    },
    inFull(300_000, 60_000),
  );

  it('a pid that the kernel has given to a stranger is never taken for the container, nor signalled', async () => {
    const { id, pid } = await h.run1(['sleep', '1000']);
    const execId = await h.exec(id, ['sleep', '1000']);
    const exec = await h.task.start({ id, execId });
    const ended = new Promise((resolve) => h.client.closed.then(resolve, resolve));
    kill(h.shimPid);
    await ended;
    for (const keeper of h.keeperPids()) kill(keeper); // a handle of the old process would tell them apart
    kill(pid);
    const pids = [pid, exec.pid];
    await h.until(() => pids.every((each) => processStat(each) === undefined));
    const strangers = await Promise.all(pids.map(spawnAs));
    await h.startShim();
    for (const process of ['', execId]) {
      expect((await h.task.state({ id, execId: process })).status).toBe(3);
      const kill9 = h.task.kill({ id, execId: process, signal: 9, all: false });
      await expect(kill9).rejects.toMatchObject({ kind: 'notFound' });
    }
    // whether there was anything to kill is not the question
    await h.task.kill({ id, execId: '', signal: 9, all: true }).catch(() => {});
    await expect(
      h.task.exec({ id, execId: 'x', terminal: false, stdin: '', stdout: '', stderr: '', spec: undefined }),
    ).rejects.toThrow('stopped state');
    expect(await h.wait(id)).toBe(255);
    await h.task.delete({ id, execId });
    await h.task.delete({ id, execId: '' });
    for (const stranger of strangers) {
      expect(stranger.signalCode).toBeNull();
      expect(processStat(stranger.pid ?? 0)?.state).toBe('S');
      stranger.kill('SIGKILL');
    }
  });
});

/** A process with this very pid: the kernel gives the next one after that in `ns_last_pid` which is free. */
async function spawnAs(pid: number): Promise<ChildProcess> {
  const child = await poll({ everyMs: 1, timeoutMs: 20_000 }, () => {
    writeFileSync('/proc/sys/kernel/ns_last_pid', String(pid - 1));
    const tried = spawn('sleep', ['1000'], { stdio: 'ignore' });
    if (tried.pid === pid) return tried;
    tried.kill('SIGKILL'); // somebody else was quicker
    return undefined;
  });
  if (child === undefined) throw new Error(`no process could be given the pid ${pid}`);
  return child;
}
