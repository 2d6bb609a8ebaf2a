/** `createEngine()`: no socket, nothing left behind, and what its containers do when the owner is killed. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { processStat } from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processesWith } from './harness/engine-under-test.ts';
import { endChild, SandboxHost } from './harness/sandbox-host.ts';

interface Report {
  readonly found: number;
  readonly id: string;
  readonly pid: number;
  /** What came back of a line sent through `cat`. */
  readonly echo: string;
}

let host: SandboxHost;
let directory: string;
beforeEach(() => {
  host = new SandboxHost();
  directory = host.path('engine');
});
afterEach(() => host[Symbol.asyncDispose]());

async function startOwner(name: string, atEnd: 'remove' | 'keep') {
  const program = join(import.meta.dirname, 'harness/in-process-owner.ts');
  const args = ['--no-warnings', '--conditions=@boxship/source', program, directory, atEnd];
  const child = host.start(name, process.execPath, args, {}, 'pipe');
  const line = await poll({ everyMs: 20, timeoutMs: 30_000 }, () =>
    child.exitCode === null
      ? host
          .logOf(name)
          .split('\n')
          .find((text) => text.startsWith('{'))
      : 'ended',
  );
  if (line === undefined || line === 'ended') throw new Error(`the owner did not start:\n${host.logOf(name)}`);
  return { child, report: JSON.parse(line) as Report };
}

const isAlive = (pid: number): boolean => (processStat(pid)?.state ?? 'X') !== 'X';

/** What an engine with this directory leaves in the kernel. */
function leftovers(): string[] {
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  const links = execFileSync('ip', ['-n', host.name, '-o', 'link'], { encoding: 'utf8' }).trim().split('\n');
  const tables = execFileSync('nsenter', [`--net=/run/netns/${host.name}`, 'nft', 'list', 'tables'], {
    encoding: 'utf8',
  });
  return [
    ...mounts.filter((line) => line.includes(directory)),
    ...links.filter((line) => !line.includes(': lo:')),
    ...tables.split('\n').filter((line) => line !== ''),
    ...processesWith(directory).map(({ commandLine }) => commandLine),
  ];
}

describe('an engine in one process', () => {
  it('leaves nothing when its owner ends', async () => {
    const { child, report } = await startOwner('owner', 'remove');
    expect(isAlive(report.pid)).toBe(true);
    expect(report.echo).toBe('through cat');
    expect(existsSync(join(directory, 'run/containerd/containerd.sock'))).toBe(false);
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.stdin?.end();
    expect(await ended).toBe(0);
    expect(leftovers()).toEqual([]);
  });

  it('leaves nothing when its owner is killed', async () => {
    const { child, report } = await startOwner('owner', 'remove');
    await endChild(child, 'SIGKILL');
    await poll({ everyMs: 50, timeoutMs: 20_000 }, () => (leftovers().length === 0 ? true : undefined));
    expect(leftovers()).toEqual([]);
    expect(isAlive(report.pid)).toBe(false);
  });

  it('finds its containers again when they were to be kept', async () => {
    const first = await startOwner('first', 'keep');
    await endChild(first.child, 'SIGKILL');
    expect(isAlive(first.report.pid)).toBe(true);
    const second = await startOwner('second', 'remove');
    expect(second.report).toEqual({ ...first.report, found: 1 });
    const ended = new Promise((resolve) => second.child.once('exit', resolve));
    second.child.stdin?.end();
    expect(await ended).toBe(0);
    expect(leftovers()).toEqual([]);
  });
});
