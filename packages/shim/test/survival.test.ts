/** `kill -9` of the shim costs nothing. The test plays containerd: it holds a pidfd of each init and a duplicate of terminals. */
import { closeSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { sleep } from '@boxship/base';
import {
  duplicateFrom,
  exitCodeOf,
  exitStatusOfPidfd,
  makeFifo,
  openFifo,
  openPidfd,
  processStat,
  readNow,
  writeNow,
} from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inFull, isFull } from '../../tooling/full.ts';
import { Harness, kill, readJsonLog } from './harness.ts';

let h: Harness;
const fds: number[] = [];
beforeEach(async () => {
  h = await Harness.start();
});
afterEach(async () => {
  for (const fd of fds.splice(0)) closeSync(fd);
  await h[Symbol.asyncDispose]();
});

const tick = (log: string) => [
  'sh',
  '-c',
  `i=0; while [ $i -lt 100000 ]; do echo t$i; i=$((i+1)); usleep 20000; done`,
  log,
];

async function killShim(): Promise<void> {
  const { shimPid } = h;
  kill(shimPid);
  await h.client.closed;
  await h.until(() => processStat(shimPid) === undefined || processStat(shimPid)?.state === 'Z');
}

/** What containerd does for a container that ended while no shim was there. */
function recordExit(bundle: string, pid: number, pidfd: number, startTicks: number): void {
  const status = exitStatusOfPidfd(pidfd, pid);
  if (status === undefined) throw new Error('no exit status');
  const exit = {
    pid,
    startTicks,
    exitStatus: exitCodeOf(status),
    exitedAt: String(BigInt(Date.now()) * 1_000_000n),
    oom: false,
  };
  writeFileSync(join(bundle, 'exit.json'), JSON.stringify(exit));
}

function ticks(path: string): number[] {
  return readJsonLog(path).map((r) => Number(r.log.slice(1)));
}

describe('kill -9 of the shim', () => {
  const count = inFull(50, 20);
  const kills = inFull(10, 4);
  it(
    `${count} ticking containers: none dies, no tick is missing, ${kills} times over`,
    async () => {
      const all = await Promise.all(
        Array.from({ length: count }, async (_, i) => {
          const log = join(h.root, `t${i}.log`);
          return { log, ...(await h.run1(tick(log), { stdout: h.logUri(log) })) };
        }),
      );
      const tookMs: number[] = [];
      for (let round = 0; round < kills; round++) {
        await sleep(Math.random() * 150);
        await killShim();
        const killedAt = performance.now();
        await h.startShim();
        tookMs.push(performance.now() - killedAt);
      }
      // with the program as it is installed, and on a machine that does nothing else, the successor serves within a second
      if (isFull) console.log('successor serves after ms:', tookMs.map(Math.round).join(' '));
      for (const { id, pid, log } of all) {
        expect(await h.task.state({ id, execId: '' })).toMatchObject({ pid, status: 2 });
        const before = ticks(log).length;
        await h.until(() => ticks(log).length > before + 2);
      }
      const codes = await Promise.all(
        all.map(async ({ id }, i) => {
          await h.task.kill({ id, execId: '', signal: i % 2 === 0 ? 9 : 15, all: false });
          if (i % 2 === 1) await h.task.kill({ id, execId: '', signal: 9, all: false });
          return await h.wait(id);
        }),
      );
      expect(codes).toEqual(all.map(() => 137));
      for (const { id, log } of all) {
        const seen = ticks(log);
        expect(seen).toEqual(seen.map((_, i) => i));
        await h.task.delete({ id, execId: '' });
      }
    },
    inFull(300_000, 90_000),
  );

  it('codes of containers that end afterwards, and in the gap, are the real ones', async () => {
    const script = (code: number) => ['sh', '-c', `read x; echo last; exit ${code}`];
    const codes = [0, 1, 42, 255];
    const make = async (code: number, name: string) => {
      const stdin = join(h.root, `${name}${code}`);
      makeFifo(stdin);
      const log = join(h.root, `${name}${code}.log`);
      const created = await h.run1(script(code), { stdin, stdout: h.logUri(log) });
      // held as containerd does: a pipe that nobody has open loses its content
      const input = openFifo(join(created.bundle, 'init.stdin'), { access: 'write' });
      const pidfd = openPidfd(created.pid);
      fds.push(input, pidfd);
      for (const name of ['init.stdout', 'init.stderr'])
        fds.push(openFifo(join(created.bundle, name), { access: 'read' }));
      return { ...created, code, stdin, log, input, pidfd, ticks: processStat(created.pid)?.startTicks ?? 0 };
    };
    const inGap = await Promise.all(codes.map((c) => make(c, 'gap')));
    const after = await Promise.all(codes.map((c) => make(c, 'after')));
    await killShim();
    for (const c of inGap) writeNow(c.input, Buffer.from('\n'));
    await h.until(() => inGap.every((c) => exitStatusOfPidfd(c.pidfd, c.pid) !== undefined));
    for (const c of inGap) recordExit(c.bundle, c.pid, c.pidfd, c.ticks);
    await h.startShim();
    for (const c of after) {
      const client = openFifo(c.stdin, { access: 'write' });
      writeNow(client, Buffer.from('\n'));
      closeSync(client);
    }
    for (const c of [...inGap, ...after]) {
      expect(await h.wait(c.id)).toBe(c.code);
      expect(readJsonLog(c.log).map((r) => r.log)).toEqual(['last\n']);
      // Wait may answer before the event has arrived: the two are not ordered
      const exitEvent = () => h.events.findLast((e) => e.topic === '/tasks/exit' && e.value['containerId'] === c.id);
      await h.until(() => exitEvent() !== undefined);
      expect(exitEvent()?.value).toMatchObject({ exitStatus: c.code, pid: c.pid });
      await h.task.delete({ id: c.id, execId: '' });
    }
  });

  it('a container of which nobody knows the end is reported as lost, not as running', async () => {
    const { id, pid, bundle } = await h.run1(['sleep', '100']);
    await killShim();
    process.kill(pid, 'SIGKILL');
    // a zombie could still be asked: wait until the machine's init has reaped it
    await h.until(() => processStat(pid) === undefined, 25_000);
    await h.startShim();
    expect(await h.wait(id)).toBe(255);
    expect(JSON.parse(readFileSync(join(bundle, 'exit.json'), 'utf8'))).toMatchObject({ isLost: true });
    await h.task.delete({ id, execId: '' });
  });

  it('an upgrade under running containers: the successor is the program that is installed by then', async () => {
    const log = join(h.root, 'up.log');
    const { id, pid } = await h.run1(tick(log), { stdout: h.logUri(log) });
    const program = readFileSync(h.executable, 'utf8');
    writeFileSync(h.executable, program.replace('exec ', 'BOXSHIP_INSTALLED=later exec '));
    const before = h.shimPid;
    process.kill(before, 'SIGTERM');
    await h.client.closed;
    await h.until(() => [undefined, 'Z'].includes(processStat(before)?.state));
    await h.startShim();
    expect(readFileSync(`/proc/${h.shimPid}/environ`, 'latin1')).toContain('BOXSHIP_INSTALLED=later');
    expect(await h.task.state({ id, execId: '' })).toMatchObject({ pid, status: 2 });
    const seen = ticks(log).length;
    await h.until(() => ticks(log).length > seen + 3);
    await h.task.kill({ id, execId: '', signal: 9, all: false });
    expect(await h.wait(id)).toBe(137);
    expect(ticks(log)).toEqual(ticks(log).map((_, i) => i));
    await h.task.delete({ id, execId: '' });
  });

  it('an unfinished line is continued, not cut', async () => {
    const log = join(h.root, 'line.log');
    const stdin = join(h.root, 'line.in');
    makeFifo(stdin);
    const { id, bundle } = await h.run1(['sh', '-c', 'printf begin; read x; echo end'], {
      stdin,
      stdout: h.logUri(log),
    });
    fds.push(openFifo(join(bundle, 'init.stdin'), { access: 'write' }));
    await h.until(() => readFileSync(join(bundle, 'init.spool.stdout'), 'utf8') === 'begin');
    await killShim();
    await h.startShim();
    const client = openFifo(stdin, { access: 'write' });
    writeNow(client, Buffer.from('\n'));
    closeSync(client);
    expect(await h.wait(id)).toBe(0);
    expect(readJsonLog(log).map((r) => r.log)).toEqual(['beginend\n']);
    await h.task.delete({ id, execId: '' });
  });

  it('a burst larger than any pipe, written while no shim is there, blocks and arrives whole', async () => {
    const log = join(h.root, 'burst.log');
    const { id, pid } = await h.run1(['sh', '-c', 'sleep 0.5; seq 1 500000'], { stdout: h.logUri(log) });
    await killShim();
    await sleep(800);
    expect(processStat(pid)?.state).not.toBe('Z');
    await h.startShim();
    expect(await h.wait(id)).toBe(0);
    const lines = readJsonLog(log).map((r) => Number(r.log));
    expect(lines.length).toBe(500_000);
    expect(lines.every((n, i) => n === i + 1)).toBe(true);
    await h.task.delete({ id, execId: '' });
  });

  it('a terminal is taken back from its second holder', async () => {
    const [stdin, stdout] = ['ti', 'to'].map((n) => join(h.root, n)) as [string, string];
    makeFifo(stdin);
    makeFifo(stdout);
    const out = openFifo(stdout, { access: 'read-write' });
    const into = openFifo(stdin, { access: 'read-write' });
    fds.push(out, into);
    const { id, bundle } = await h.run1(['sh'], { terminal: true, stdin, stdout });
    const { holderPid, fd } = JSON.parse(readFileSync(join(bundle, 'console.json'), 'utf8')) as {
      holderPid: number;
      fd: number;
    };
    const shim = openPidfd(holderPid);
    const master = duplicateFrom(shim, fd);
    fds.push(shim, master);
    await killShim();
    writeFileSync(join(bundle, 'console-held.json'), JSON.stringify({ pid: process.pid, fd: master }));
    await h.startShim();
    expect((await h.task.state({ id, execId: '' })).status).toBe(2);
    writeNow(into, Buffer.from('echo a$((1+1))b\r'));
    let text = '';
    const buffer = Buffer.alloc(4096);
    await h.until(() => {
      const n = readNow(out, buffer);
      if (n > 0) text += buffer.toString('utf8', 0, n);
      return text.includes('a2b');
    });
    await h.task.resizePty({ id, execId: '', width: 99, height: 33 });
    writeNow(into, Buffer.from('stty size; exit 7\r'));
    expect(await h.wait(id)).toBe(7);
    await h.task.delete({ id, execId: '' });
  });

  it('with nobody else to hold anything: terminals, input, last lines and codes are kept, those of execs too', async () => {
    const [stdin, stdout] = ['ki', 'ko'].map((n) => join(h.root, n)) as [string, string];
    makeFifo(stdin);
    makeFifo(stdout);
    const out = openFifo(stdout, { access: 'read-write' });
    const into = openFifo(stdin, { access: 'read-write' });
    fds.push(out, into);
    const terminal = await h.run1(['sh'], { terminal: true, stdin, stdout });
    const flag = join(h.rootfs, 'tmp', 'over');
    const untilFlag = 'while [ ! -e /tmp/over ]; do usleep 10000; done';
    const log = join(h.root, 'k.log');
    const ending = await h.run1(['sh', '-c', `${untilFlag}; echo last; exit 42`], { stdout: h.logUri(log) });
    const readerIn = join(h.root, 'ri');
    makeFifo(readerIn);
    const reader = await h.run1(['sh', '-c', 'read x; exit 8'], { stdin: readerIn });
    const execId = await h.exec(terminal.id, ['sh', '-c', `${untilFlag}; exit 5`]);
    await h.task.start({ id: terminal.id, execId });
    await h.until(() => h.keepers().some((names) => names.includes(`${terminal.id}/${execId}/pidfd`)));
    await killShim();
    writeFileSync(flag, '');
    // whoever is the parent now reaps it at its leisure: the successor must not depend on that
    await h.until(() => [undefined, 'Z'].includes(processStat(ending.pid)?.state));
    await h.startShim();
    expect(await h.wait(ending.id)).toBe(42);
    expect(readJsonLog(log).map((r) => r.log)).toEqual(['last\n']);
    expect(await h.wait(terminal.id, execId)).toBe(5);
    writeNow(into, Buffer.from('echo a$((1+1))b; exit 7\r'));
    expect(await h.wait(terminal.id)).toBe(7);
    const buffer = Buffer.alloc(4096);
    expect(buffer.toString('utf8', 0, readNow(out, buffer))).toContain('a2b');
    expect((await h.task.state({ id: reader.id, execId: '' })).status).toBe(2);
    const client = openFifo(readerIn, { access: 'write' });
    writeNow(client, Buffer.from('\n'));
    closeSync(client);
    expect(await h.wait(reader.id)).toBe(8);
    for (const { id } of [terminal, ending, reader]) await h.task.delete({ id, execId: '' });
    await h.until(() => h.keepers().length === 0);
    expect(readdirSync(join(h.bundles, '.group-g')).filter((name) => name.startsWith('keeper-'))).toEqual([]);
  });

  it('live execs go on, with their codes; attach sockets are there again; pause is seen', async () => {
    const attach = join(h.root, 'attach.sock');
    const { id } = await h.run1(['sh', '-c', 'while :; do echo x; usleep 50000; done'], {
      stdout: h.logUri(join(h.root, 'l.log'), { attach }),
    });
    const paused = await h.run1(['sleep', '100']);
    await h.task.pause({ id: paused.id });
    const log = join(h.root, 'e.log');
    const flag = join(h.rootfs, 'tmp', 'flag');
    const execId = await h.exec(
      id,
      ['sh', '-c', 'while [ ! -e /tmp/flag ]; do usleep 10000; done; echo over; exit 5'],
      { stdout: h.logUri(log) },
    );
    await h.task.start({ id, execId });
    await killShim();
    await h.startShim();
    expect((await h.task.state({ id: paused.id, execId: '' })).status).toBe(4);
    await h.task.resume({ id: paused.id });
    const socket = connect({ path: attach });
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    writeFileSync(flag, '');
    expect(await h.wait(id, execId)).toBe(5);
    expect(readJsonLog(log).map((r) => r.log)).toEqual(['over\n']);
    await h.task.delete({ id, execId });
    for (const each of [id, paused.id]) {
      await h.task.kill({ id: each, execId: '', signal: 9, all: false });
      expect(await h.wait(each)).toBe(137);
      await h.task.delete({ id: each, execId: '' });
    }
  });
});

describe('a shim that dies in the middle of a verb', () => {
  const cases = [
    ['start.mounts-made', 'create'],
    ['start.runc-created', 'create'],
    ['start.state-starting', 'start'],
    ['start.runc-started', 'start'],
    ['rm.task-deleted', 'delete'],
  ] as const;
  for (const [point, verb] of cases) {
    it(`at ${point}: the retry succeeds and nothing is left`, async () => {
      await h[Symbol.asyncDispose]();
      h = await Harness.start({ environment: { BOXSHIP_TEST: '1', BOXSHIP_FP: `${point}=kill` } });
      const id = h.newId();
      const run = async () => {
        const { pid } = await h.create(['sleep', '100'], { id });
        const pidfd = openPidfd(pid);
        fds.push(pidfd);
        await h.task.start({ id, execId: '' });
        await h.task.kill({ id, execId: '', signal: 9, all: false });
        expect(await h.wait(id)).toBe(137);
        await h.task.delete({ id, execId: '' });
      };
      await expect(run()).rejects.toMatchObject({ kind: 'unavailable' });
      delete h.environment['BOXSHIP_FP'];
      await h.startShim();
      if (verb === 'create') {
        await expect(h.task.state({ id, execId: '' })).rejects.toMatchObject({ kind: 'notFound' });
        await run();
      } else {
        if (verb === 'start' && (await h.task.state({ id, execId: '' })).status === 1)
          await h.task.start({ id, execId: '' });
        if (verb === 'start') await h.task.kill({ id, execId: '', signal: 9, all: false });
        expect(await h.wait(id)).toBe(137);
        await h.task.delete({ id, execId: '' });
      }
      expect(existsSync(join(h.bundles, id, 'shim.json'))).toBe(false);
      expect(existsSync(join(h.root, 'runc/test', id))).toBe(false);
    });
  }
});
