/** Cgroup version 2 as the machine's only hierarchy: found, limited, counted, frozen, and a kill for want of memory told. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { poll } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type CgroupPaths,
  cgroupPids,
  cgroupStatsV2,
  cgroupsOf,
  cgroupVersion,
  freezerState,
  oomKillCount,
  setFrozen,
  watchOom,
} from '../src/index.ts';

const isVersion2 = cgroupVersion() === 2;

describe.skipIf(!isVersion2)('cgroups of version 2, the whole machine over', () => {
  const root = '/sys/fs/cgroup';
  const directory = `${root}/boxship-linux-${process.pid}`;
  const controllers = ['memory', 'pids', 'cpu', 'io'];

  const paths: CgroupPaths = { version: 2, unified: directory, controllers: new Map() };
  const until = async (what: () => boolean) =>
    expect(await poll({ everyMs: 20, timeoutMs: 30_000 }, () => what() || undefined), what.toString()).toBe(true);
  const canRemove = () => {
    try {
      rmdirSync(directory);
      return true;
    } catch {
      return false; // EBUSY: its last process is on its way out
    }
  };
  beforeEach(() => {
    writeFileSync(`${root}/cgroup.subtree_control`, controllers.map((name) => `+${name}`).join(' '));
    mkdirSync(directory);
  });
  afterEach(async () => {
    writeFileSync(`${directory}/cgroup.kill`, '1');
    await until(canRemove);
  });

  const run = async (script: string) => {
    const child = spawn('sh', ['-c', `echo $$ > ${directory}/cgroup.procs; ${script}`], { stdio: 'ignore' });
    const pid = child.pid ?? 0;
    await until(() => child.exitCode !== null || child.signalCode !== null || cgroupPids(paths).includes(pid));
    return { child, pid };
  };

  it('are found from a process and count for it', async () => {
    const { child, pid } = await run('exec sleep 1000');
    expect(cgroupsOf(pid)).toEqual(paths);
    writeFileSync(`${directory}/pids.max`, '50');
    writeFileSync(`${directory}/memory.max`, String(64 << 20));
    const stats = cgroupStatsV2(directory);
    expect(stats.pids).toEqual({ current: 1n, limit: 50n });
    expect(stats.memory?.usage).toBeGreaterThan(0n);
    expect(stats.memory?.usageLimit).toBe(BigInt(64 << 20));
    expect(stats.memory?.pgfault).toBeGreaterThan(0n);
    expect(stats.cpu.usageUsec).toBeGreaterThan(0n);
    expect(stats.memoryEvents).toMatchObject({ oom: 0n, oomKill: 0n });
    child.kill('SIGKILL');
  });

  it('freeze and thaw all of it', async () => {
    const { child } = await run('exec sleep 1000');
    setFrozen(paths, true);
    await until(() => freezerState(paths) === 'frozen');
    setFrozen(paths, false);
    await until(() => freezerState(paths) === 'thawed');
    child.kill('SIGKILL');
  });

  it('tell of a kill for want of memory', async () => {
    writeFileSync(`${directory}/memory.max`, String(8 << 20));
    let told = 0;
    using _watch = watchOom(paths, (count) => {
      told = count;
    });
    const { child } = await run('x=a; while :; do x=$x$x; done');
    if (child.signalCode === null) await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    await until(() => told > 0);
    expect(oomKillCount(paths)).toBe(told);
    expect(cgroupStatsV2(directory).memoryEvents?.oomKill).toBe(BigInt(told));
  });
});
