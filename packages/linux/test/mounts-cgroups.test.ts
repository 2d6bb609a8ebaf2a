/** Mounts and cgroups against the real kernel. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type CgroupPaths,
  cgroupPids,
  cgroupStatsV1,
  cgroupStatsV2,
  cgroupsOf,
  cgroupVersion,
  freezerState,
  isMountPoint,
  mount,
  oomKillCount,
  parseMountInfo,
  setFrozen,
  unmount,
  unmountAll,
  watchOom,
} from '../src/index.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mnt-'));
});
afterEach(() => {
  unmountAll(directory);
  rmSync(directory, { recursive: true, force: true });
});
const make = (name: string) => {
  mkdirSync(join(directory, name), { recursive: true });
  return join(directory, name);
};

describe('mount', () => {
  it('binds, read-only when asked, and unmounts once', () => {
    const [from, to] = [make('from'), make('to')];
    writeFileSync(join(from, 'f'), 'x');
    mount({ type: 'bind', source: from, target: to, options: ['rbind', 'ro', 'rprivate'] });
    expect(isMountPoint(to)).toBe(true);
    expect(() => writeFileSync(join(to, 'f'), 'y')).toThrow('EROFS');
    expect(unmount(to)).toBe(true);
    expect(unmount(to)).toBe(false);
  });

  it('overlays with more layers than fit into one page', () => {
    const layers = Array.from({ length: 90 }, (_, i) => make(`snapshots/a-rather-long-name-of-a-snapshot-${i}/fs`));
    writeFileSync(join(layers[89] ?? '', 'lowest'), '1');
    const options = [
      `lowerdir=${layers.join(':')}`,
      `upperdir=${make('snapshots/up/fs')}`,
      `workdir=${make('snapshots/up/work')}`,
    ];
    expect(options.join(',').length).toBeGreaterThan(4096);
    const before = process.cwd();
    const target = make('merged');
    mount({ type: 'overlay', source: 'overlay', target, options });
    expect(process.cwd()).toBe(before);
    expect(readFileSync(join(target, 'lowest'), 'utf8')).toBe('1');
    writeFileSync(join(target, 'new'), '2');
    expect(existsSync(join(directory, 'snapshots/up/fs/new'))).toBe(true);
  });

  it('names call, target and errno in its errors', () => {
    const target = join(directory, 'absent');
    expect(() => mount({ type: 'tmpfs', source: 'tmpfs', target })).toThrow(`mount tmpfs at ${target}: ENOENT`);
    expect(() => mount({ type: 'tmpfs', source: 't', target, options: ['x'.repeat(5000)] })).toThrow('longer than');
  });

  it('unmounts everything below a directory', () => {
    const inner = make('a');
    mount({ type: 'tmpfs', source: 'tmpfs', target: inner });
    mount({ type: 'tmpfs', source: 'tmpfs', target: inner });
    mount({ type: 'tmpfs', source: 'tmpfs', target: make('a/b') });
    unmountAll(directory);
    expect(isMountPoint(inner)).toBe(false);
  });

  it('reads the table, escapes included', () => {
    const line = '36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n';
    expect(parseMountInfo(line)).toEqual([
      {
        id: 36,
        parentId: 35,
        device: '98:0',
        root: '/mnt1',
        mountPoint: '/mnt 2',
        options: 'rw,noatime',
        optionalFields: ['master:1', 'shared:2'],
        type: 'ext3',
        source: '/dev/root',
        superOptions: 'rw,errors=continue',
      },
    ]);
  });
});

const isV1 = cgroupVersion() === 1;

describe.skipIf(!isV1)('cgroups of version 1', () => {
  const roots = ['memory', 'freezer', 'pids', 'cpuacct'];
  const name = `boxship-linux-${process.pid}`;
  const at = (controller: string) => `/sys/fs/cgroup/${controller}/${name}`;
  const paths: CgroupPaths = { version: 1, unified: undefined, controllers: new Map(roots.map((c) => [c, at(c)])) };
  beforeEach(() => {
    for (const c of roots) mkdirSync(at(c), { recursive: true });
  });
  afterEach(async () => {
    setFrozen(paths, false);
    for (const pid of cgroupPids(paths)) process.kill(pid, 'SIGKILL');
    for (const c of roots)
      await expect
        .poll(
          () => {
            try {
              rmdirSync(at(c));
            } catch {
              return existsSync(at(c));
            }
            return false;
          },
          { timeout: 5000 },
        )
        .toBe(false);
  });
  const run = (script: string) => {
    const joins = roots.map((c) => `echo $$ > ${at(c)}/cgroup.procs`).join('; ');
    return spawn('sh', ['-c', `${joins}; ${script}`], { stdio: 'ignore' });
  };

  it('are found from a process, list it, count for it, freeze it', async () => {
    const child = run('exec sleep 100');
    const pid = child.pid ?? 0;
    await expect.poll(() => cgroupPids(paths)).toEqual([pid]);
    const found = cgroupsOf(pid);
    for (const c of roots) expect(found?.controllers.get(c)).toBe(at(c));
    const stats = cgroupStatsV1(paths);
    expect(stats.pids.current).toBe(1n);
    expect(stats.memory?.usage.usage).toBeGreaterThan(0n);
    expect(stats.cpu.usage.perCpu.length).toBeGreaterThan(0);
    setFrozen(paths, true);
    await expect.poll(() => freezerState(paths)).toBe('frozen');
    setFrozen(paths, false);
    expect(freezerState(paths)).toBe('thawed');
  });

  it('tell of a kill for want of memory', async () => {
    writeFileSync(`${at('memory')}/memory.limit_in_bytes`, String(8 << 20));
    let count = 0;
    using _watch = watchOom(paths, (n) => {
      count = n;
    });
    const child = run('x=a; while :; do x=$x$x; done');
    await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    await expect.poll(() => count).toBeGreaterThan(0);
    expect(oomKillCount(paths)).toBe(count);
  });
});

describe.skipIf(!existsSync('/sys/fs/cgroup/unified/cgroup.procs') && isV1)('cgroups of version 2', () => {
  const unified = `${isV1 ? '/sys/fs/cgroup/unified' : '/sys/fs/cgroup'}/boxship-linux-${process.pid}`;
  const paths: CgroupPaths = { version: 2, unified, controllers: new Map() };

  it('list and freeze', async () => {
    mkdirSync(unified);
    const child = spawn('sh', ['-c', `echo $$ > ${unified}/cgroup.procs; exec sleep 100`], { stdio: 'ignore' });
    await expect.poll(() => cgroupPids(paths)).toEqual([child.pid]);
    setFrozen(paths, true);
    await expect.poll(() => freezerState(paths)).toBe('frozen');
    setFrozen(paths, false);
    await expect.poll(() => freezerState(paths)).toBe('thawed');
    child.kill('SIGKILL');
    await once(child, 'exit');
    await expect
      .poll(() => {
        try {
          rmdirSync(unified);
          return true;
        } catch {
          return false;
        }
      })
      .toBe(true);
  });

  it('read their formats', () => {
    const files: Record<string, string> = {
      'pids.current': '3\n',
      'pids.max': 'max\n',
      'cpu.stat': 'usage_usec 100\nuser_usec 60\nsystem_usec 40\nnr_periods 5\nnr_throttled 2\nthrottled_usec 9\n',
      'memory.stat': 'anon 11\nfile 22\nworkingset_refault_anon 4\n',
      'memory.current': '33\n',
      'memory.max': 'max\n',
      'memory.events': 'low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\n',
      'memory.pressure':
        'some avg10=1.50 avg60=0.00 avg300=0.00 total=12\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=6\n',
      'io.stat': '8:16 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0\n',
      'hugetlb.2MB.current': '5\n',
      'hugetlb.2MB.max': 'max\n',
      'hugetlb.2MB.events': 'max 1\n',
    };
    for (const [file, text] of Object.entries(files)) writeFileSync(join(directory, file), text);
    const stats = cgroupStatsV2(directory);
    expect(stats.pids).toEqual({ current: 3n, limit: 0n });
    expect(stats.cpu).toMatchObject({ usageUsec: 100n, nrThrottled: 2n, psi: undefined });
    expect(stats.memory).toMatchObject({
      anon: 11n,
      file: 22n,
      usage: 33n,
      usageLimit: 0xffff_ffff_ffff_ffffn,
      workingsetRefaultAnon: 4n,
    });
    expect(stats.memory.psi?.some).toEqual({ avg10: 1.5, avg60: 0, avg300: 0, total: 12n });
    expect(stats.io.usage).toEqual([{ major: 8n, minor: 16n, rbytes: 1n, wbytes: 2n, rios: 3n, wios: 4n }]);
    expect(stats.hugetlb).toEqual([{ current: 5n, max: 0xffff_ffff_ffff_ffffn, pagesize: '2MB', failcnt: 1n }]);
    expect(stats.memoryEvents).toMatchObject({ oom: 1n, oomKill: 1n });
    const fake: CgroupPaths = { version: 2, unified: directory, controllers: new Map() };
    expect(oomKillCount(fake)).toBe(1);
  });

  it('tell of a kill when the counter grows', async () => {
    const file = join(directory, 'memory.events');
    writeFileSync(file, 'oom 0\noom_kill 0\n');
    const counts: number[] = [];
    using _watch = watchOom({ version: 2, unified: directory, controllers: new Map() }, (n) => counts.push(n));
    writeFileSync(file, 'oom 1\noom_kill 0\n');
    writeFileSync(file, 'oom 1\noom_kill 2\n');
    await expect.poll(() => counts).toEqual([2]);
  });
});
