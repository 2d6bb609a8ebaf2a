/** Processes, descriptors and terminals against the real kernel. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type EpollWatch, type watchEpoll, watchOnLoop, watchOnThread } from '../src/epoll-watch.ts';
import {
  closePidfd,
  duplicateFd,
  duplicateFrom,
  exitCodeOf,
  exitStatusOfPidfd,
  isProcessAlive,
  isReadyNow,
  listenForFd,
  makeFifo,
  markInheritedCloseOnExec,
  onPidfdExit,
  openFifo,
  openPidfd,
  Poller,
  peerCredentials,
  processStat,
  readNow,
  reapChild,
  setPipeSize,
  setWindowSize,
  sharedPoller,
  signalPidfd,
  spawnProcess,
  spliceNow,
  tryLockFile,
  WOULD_BLOCK,
  windowSize,
  writeNow,
} from '../src/index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'linux-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const fifo = (name = 'f') => {
  const path = join(directory, name);
  makeFifo(path);
  return path;
};

describe('spawnProcess', () => {
  beforeAll(markInheritedCloseOnExec);

  const run = async (script: string, stdio: readonly (number | undefined)[] = [], workingDirectory?: string) => {
    const output = openSync(join(directory, 'output'), 'w+');
    const { pid, ended } = spawnProcess('sh', {
      arguments: ['-c', script],
      env: { GIVEN: 'a value', PATH: '/usr/bin:/bin' },
      stdio: [undefined, output, output, ...stdio],
      workingDirectory,
    });
    const status = await ended;
    closeSync(output);
    return { pid, status, output: readFileSync(join(directory, 'output'), 'utf8') };
  };

  it('gives the status, by exit and by signal, and leaves no zombie', async () => {
    const { pid, status } = await run('exit 37');
    expect(exitCodeOf(status)).toBe(37);
    expect(processStat(pid)).toBeUndefined();
    expect((await run('kill -9 $$')).status & 0x7f).toBe(9);
  });

  it('passes the environment, the directory and the named descriptors, and no others', async () => {
    const [first, second] = [openSync(join(directory, 'first'), 'w'), openSync(join(directory, 'second'), 'w')];
    // crossed on purpose: each stands where the other goes, if the numbers are low
    const { output } = await run(
      'echo $GIVEN; pwd; ls /proc/self/fd | wc -l; echo 1 >&3; echo 2 >&4',
      [second, first],
      directory,
    );
    closeSync(first);
    closeSync(second);
    // 0, 1, 2, 3, 4 and that of ls itself
    expect(output).toBe(`a value\n${directory}\n6\n`);
    expect([readFileSync(join(directory, 'second'), 'utf8'), readFileSync(join(directory, 'first'), 'utf8')]).toEqual([
      '1\n',
      '2\n',
    ]);
  });

  it('makes it the leader of a session, with default signals', async () => {
    const { pid, output } = await run("cut -d' ' -f5,6 /proc/$$/stat; grep -E 'Sig(Ign|Blk)' /proc/$$/status");
    const [session, ...masks] = output.trimEnd().split('\n');
    expect(session).toBe(`${pid} ${pid}`);
    // signals 1 to 31; 32 and 33 are glibc's own
    expect(masks.map((mask) => Number.parseInt(mask.slice(-8), 16) & 0x7fffffff)).toEqual([0, 0]);
  });

  it('names the reason when there is no such program', () => {
    const start = (program: string) => () => spawnProcess(program, { arguments: [], env: {}, stdio: [] });
    expect(start('no-such-program')).toThrow(expect.objectContaining({ kind: 'notFound' }));
    expect(start('/etc/passwd')).toThrow(expect.objectContaining({ kind: 'permissionDenied' }));
  });
});

describe('pidfd', () => {
  const ended = async (pid: number) => {
    const pidfd = openPidfd(pid);
    await new Promise<void>((resolve) => onPidfdExit(sharedPoller(), pidfd, () => resolve()));
    return pidfd;
  };

  it("tells the exit status of a process that is nobody's child here, after it was reaped", async () => {
    // the shell starts an orphan, which init adopts and reaps
    const shell = spawn('sh', ['-c', `sh -c 'echo $$ > ${directory}/pid; read x < ${fifo('gate')}; exit 37' & `], {
      stdio: 'ignore',
    });
    await once(shell, 'exit');
    await expect.poll(() => readFileSync(join(directory, 'pid'), 'utf8').endsWith('\n')).toBe(true);
    const pid = Number(readFileSync(join(directory, 'pid'), 'utf8'));
    const pidfd = openPidfd(pid);
    expect(exitStatusOfPidfd(pidfd, pid)).toBeUndefined();
    expect(reapChild(pid)).toEqual({ kind: 'foreign' });
    writeFileSync(join(directory, 'gate'), '\n');
    await new Promise<void>((resolve) => onPidfdExit(sharedPoller(), pidfd, () => resolve()));
    // how soon the adopting init reaps is its own affair
    await expect.poll(() => processStat(pid), { timeout: 20_000 }).toBeUndefined();
    expect(exitCodeOf(exitStatusOfPidfd(pidfd, pid) ?? -1)).toBe(37);
    expect(signalPidfd(pidfd, 0)).toBe(false);
    closePidfd(sharedPoller(), pidfd);
    expect(() => openPidfd(pid)).toThrow('no process');
  });

  it('sends signals; the code of a signal death is 128 + signal', async () => {
    const child = spawn('sleep', ['100'], { stdio: 'ignore' });
    const pid = child.pid ?? 0;
    const pidfd = openPidfd(pid);
    expect(signalPidfd(pidfd, 0)).toBe(true);
    expect(isProcessAlive(pid, processStat(pid)?.startTicks ?? 0)).toBe(true);
    expect(isProcessAlive(pid, 1)).toBe(false);
    signalPidfd(pidfd, 15);
    const again = await ended(pid);
    expect(exitCodeOf(exitStatusOfPidfd(again, pid) ?? -1)).toBe(143);
    for (const fd of [pidfd, again]) closePidfd(sharedPoller(), fd);
  });

  it('duplicates a descriptor of another process', async () => {
    writeFileSync(join(directory, 'file'), 'content');
    const child = spawn('sh', ['-c', `exec 7< ${directory}/file; sleep 100`], { stdio: 'ignore' });
    const pidfd = openPidfd(child.pid ?? 0);
    await expect
      .poll(() => {
        try {
          return statSync(`/proc/${child.pid}/fd/7`).isFile();
        } catch {
          return false;
        }
      })
      .toBe(true);
    const copy = duplicateFrom(pidfd, 7);
    expect(readFileSync(copy, 'utf8')).toBe('content');
    closeSync(copy);
    child.kill('SIGKILL');
    await once(child, 'exit');
    closePidfd(sharedPoller(), pidfd);
  });
});

describe.each([
  ['on the event loop', (...args: Parameters<typeof watchEpoll>) => watchOnLoop(...args) as EpollWatch],
  ['on a thread', watchOnThread],
])('poller %s', (_, watch) => {
  it('calls once per arm and forgets removed descriptors', async () => {
    using poller = new Poller(watch);
    const fd = openFifo(fifo(), { access: 'read-write' });
    let calls = 0;
    poller.arm(fd, 'read', () => calls++);
    writeNow(fd, Buffer.from('x'));
    await expect.poll(() => calls).toBe(1);
    await poller.ready(fd, 'write');
    expect(calls).toBe(1);
    poller.arm(fd, 'read', () => calls++);
    poller.remove(fd);
    await poller.ready(duplicateAndForget(fd), 'read');
    expect(calls).toBe(1);
    closeSync(fd);
  });
  const duplicateAndForget = (fd: number) => {
    const copy = duplicateFd(fd);
    setTimeout(() => closeSync(copy), 1000);
    return copy;
  };

  it('watches many at once', async () => {
    using poller = new Poller(watch);
    const fds = Array.from({ length: 200 }, (_, i) => openFifo(fifo(`m${i}`), { access: 'read-write' }));
    const all = Promise.all(fds.map((fd) => poller.ready(fd, 'read')));
    for (const fd of fds) writeNow(fd, Buffer.from('x'));
    await all;
    for (const fd of fds) {
      poller.remove(fd);
      closeSync(fd);
    }
  });

  it('keeps a process alive while it watches something, and no longer', async () => {
    const path = fifo();
    const [poller, fifos] = ['poller', 'fifo'].map((name) => new URL(`../src/${name}.ts`, import.meta.url).href);
    const driver = watch === watchOnThread ? 'watchOnThread' : 'watchOnLoop';
    const script = `
      import { Poller } from '${poller}';
      import { openFifo } from '${fifos}';
      import * as drivers from '${new URL('../src/epoll-watch.ts', import.meta.url).href}';
      const poller = new Poller(drivers.${driver});
      const fd = openFifo('${path}', { access: 'read-write' });
      process.stdout.write('waits');
      await poller.ready(fd, 'read');
      poller.remove(fd);
      process.stdout.write(' and ends');`;
    const flags = ['--conditions=@boxship/source', '--no-warnings', '--input-type=module', '-e', script];
    const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    child.stdout.on('data', (bytes) => {
      text += bytes;
    });
    await expect.poll(() => text, { timeout: 10_000 }).toBe('waits');
    const fd = openFifo(path, { access: 'read-write' });
    writeNow(fd, Buffer.from('x'));
    expect(await once(child, 'exit')).toEqual([0, null]);
    expect(text).toBe('waits and ends');
    closeSync(fd);
  });
});

describe('FIFOs', () => {
  it('splice moves bytes into a file and tells empty from end', () => {
    const path = fifo();
    const both = openFifo(path, { access: 'read-write' });
    const file = openSync(join(directory, 'out'), 'w+');
    expect(spliceNow(both, file, 100, 0)).toBe(WOULD_BLOCK);
    writeNow(both, Buffer.from('hello'));
    expect(isReadyNow(both, 'read')).toBe(true);
    expect(spliceNow(both, file, 100, 0)).toBe(5);
    writeNow(both, Buffer.from(' you'));
    const reader = openFifo(path, { access: 'read' });
    closeSync(both);
    expect(spliceNow(reader, file, 100, 5)).toBe(4);
    expect(spliceNow(reader, file, 100, 9)).toBe(0);
    expect(readFileSync(join(directory, 'out'), 'utf8')).toBe('hello you');
    closeSync(reader);
    closeSync(file);
  });

  it('are refused when they are something else, symlinks included', () => {
    writeFileSync(join(directory, 'plain'), '');
    symlinkSync(fifo('real'), join(directory, 'link'));
    expect(() => openFifo(join(directory, 'plain'), { access: 'read' })).toThrow('not a FIFO');
    expect(() => openFifo(join(directory, 'link'), { access: 'read' })).toThrow('ELOOP');
    makeFifo(join(directory, 'real')); // exists: taken as it is
  });

  it('hold a burst of a MiB', () => {
    const fd = openFifo(fifo(), { access: 'read-write' });
    expect(setPipeSize(fd, 1 << 20)).toBe(1 << 20);
    expect(writeNow(fd, Buffer.alloc(1 << 20))).toBe(1 << 20);
    expect(writeNow(fd, Buffer.alloc(1))).toBe(WOULD_BLOCK);
    closeSync(fd);
  });
});

describe('terminal', () => {
  it('size, and newlines as the kernel sets them', async () => {
    const master = openSync('/dev/ptmx', 'r+');
    setWindowSize(master, { rows: 12, columns: 34 });
    expect(windowSize(master)).toEqual({ rows: 12, columns: 34 });
    // unlockpt and the name are ioctls of the master; a child does both
    const script = `import os,sys,fcntl,struct,termios
m=3
fcntl.ioctl(m,0x40045431,struct.pack('i',0))
n=struct.unpack('i',fcntl.ioctl(m,0x80045430,b'\\0'*4))[0]
s=os.open('/dev/pts/%d'%n,os.O_RDWR|os.O_NOCTTY)
os.write(s,b'a\\nb'); sys.stdin.read()`;
    const child = spawn('python3', ['-c', script], { stdio: ['pipe', 'ignore', 'ignore', master] });
    const buffer = Buffer.alloc(100);
    const copy = duplicateFd(master);
    await sharedPoller().ready(copy, 'read');
    expect(buffer.toString('utf8', 0, readNow(copy, buffer))).toBe('a\r\nb');
    child.stdin?.end();
    await once(child, 'exit');
    sharedPoller().remove(copy);
    closeSync(copy);
    closeSync(master);
  });
});

describe('unix sockets', () => {
  it('receive a descriptor, and give up at the deadline', async () => {
    using receiver = listenForFd(join(directory, 's'));
    await expect(receiver.receive(50)).rejects.toMatchObject({ kind: 'deadlineExceeded' });
    using second = listenForFd(join(directory, 's2'));
    writeFileSync(join(directory, 'file'), 'sent');
    const script = `import socket,os
s=socket.socket(socket.AF_UNIX); s.connect('${second.path}'); socket.send_fds(s,[b'/dev/ptmx'],[os.open('${directory}/file',0)])`;
    spawn('python3', ['-c', script], { stdio: 'ignore' });
    const fd = await second.receive(10_000);
    expect(readFileSync(fd, 'utf8')).toBe('sent');
    closeSync(fd);
  });

  it('know who connects', async () => {
    const server = createServer();
    server.listen(join(directory, 'p'));
    await once(server, 'listening');
    const client = connect(join(directory, 'p'));
    const [socket] = (await once(server, 'connection')) as [Socket & { _handle: { fd: number } }];
    expect(peerCredentials(socket._handle.fd)).toEqual({ pid: process.pid, uid: 0, gid: 0 });
    client.destroy();
    server.close();
  });
});

it('a lock is held until it is disposed of, and refused meanwhile', () => {
  const path = join(directory, 'lock');
  const first = tryLockFile(path);
  expect(tryLockFile(path)).toBeUndefined();
  first?.[Symbol.dispose]();
  using second = tryLockFile(path);
  expect(second).toBeDefined();
});
