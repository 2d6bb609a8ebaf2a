import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { cgroupVersion, processStat } from '@boxship/linux';
import { afterAll, describe, expect, it } from 'vitest';
import { Runc } from '../src/index.ts';
import { makeBundle, makeRootfs, testSpec } from '../src/testsuite/bundle.ts';
import { ociRuntimeSuite } from '../src/testsuite/oci-runtime.ts';

const isInstalled = (program: string) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
// they refuse the mixed layout that many hosts of version 1 have
const needsVersion2 = ['crun', 'youki'];

for (const binary of ['runc', 'crun', 'youki']) {
  const isRefused = needsVersion2.includes(binary) && cgroupVersion() !== 2;
  const reason = !isInstalled(binary) ? 'not installed' : isRefused ? 'needs cgroup version 2' : undefined;
  ociRuntimeSuite(binary, (options) => new Runc({ ...options, binary }), reason);
}

describe('a runtime that misbehaves', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bad-runtime-'));
  afterAll(() => rmSync(directory, { recursive: true }));
  const script = (name: string, body: string) => {
    const path = join(directory, name);
    writeFileSync(path, `#!/bin/sh\n${body}\n`);
    chmodSync(path, 0o755);
    return new Runc({ binary: path, logDirectory: directory });
  };

  it('that hangs is killed with its tree at the deadline', async () => {
    const pids = join(directory, 'pids');
    const runc = script('hang', `trap '' TERM; setsid sleep 300 & echo $$ $! > ${pids}; sleep 300`);
    await expect(runc.start('c1', { timeoutMs: 500 })).rejects.toMatchObject({ kind: 'deadlineExceeded' });
    const all = readFileSync(pids, 'utf8').trim().split(' ').map(Number);
    expect(all).toHaveLength(2);
    const areGone = () => all.every((pid) => ['Z', undefined].includes(processStat(pid)?.state)) || undefined;
    expect(await poll({ everyMs: 10, timeoutMs: 3000 }, areGone)).toBe(true);
  });

  const limits = { timeoutMs: 1500 };
  const paths = { bundle: directory, pidFile: join(directory, 'pid'), processFile: join(directory, 'p.json') };
  const verbs: readonly (readonly [string, (runc: Runc) => Promise<unknown>])[] = [
    ['create', (runc) => runc.create('c1', { ...limits, ...paths })],
    ['start', (runc) => runc.start('c1', limits)],
    ['run', (runc) => runc.run('c1', { ...limits, bundle: directory })],
    ['exec', (runc) => runc.exec('c1', { ...limits, ...paths })],
    ['execToEnd', (runc) => runc.execToEnd('c1', { ...limits, processFile: paths.processFile })],
    ['kill', (runc) => runc.kill('c1', 9, limits)],
    ['delete', (runc) => runc.delete('c1', limits)],
    ['state', (runc) => runc.state('c1', limits)],
    ['list', (runc) => runc.list(limits)],
    ['ps', (runc) => runc.ps('c1', limits)],
    ['pause', (runc) => runc.pause('c1', limits)],
    ['resume', (runc) => runc.resume('c1', limits)],
    ['update', (runc) => runc.update('c1', {}, limits)],
    ['stats', (runc) => runc.stats('c1', limits)],
    ['checkpoint', (runc) => runc.checkpoint('c1', { ...limits, imagePath: directory })],
    ['restore', (runc) => runc.restore('c1', { ...limits, ...paths, imagePath: directory })],
    ['features', (runc) => runc.features(limits)],
    ['version', (runc) => runc.version(limits)],
  ];
  it.concurrent.each(verbs)('%s fails at its deadline, and nothing of the runtime is left', async (verb, call) => {
    const pids = join(directory, `pids-${verb}`);
    const grandchildren = 'sh -c \'trap "" TERM; sleep 300\' & setsid sleep 300 &';
    const runc = script(`hang-${verb}`, `trap '' TERM; ${grandchildren} echo $$ $! > ${pids}; sleep 300`);
    await expect(call(runc)).rejects.toMatchObject({ kind: 'deadlineExceeded' });
    const all = readFileSync(pids, 'utf8').trim().split(' ').map(Number);
    const areGone = () => all.every((pid) => ['Z', undefined].includes(processStat(pid)?.state)) || undefined;
    expect(await poll({ everyMs: 10, timeoutMs: 3000 }, areGone)).toBe(true);
  });

  it('that hangs once, after or instead of its work, can be asked again', async () => {
    const rootfs = makeRootfs(join(directory, 'rootfs'));
    const id = `hung-${process.pid}`;
    const spec = testSpec({ rootfs, args: ['sleep', '100'], cgroupsPath: `/boxship-test/${id}` });
    const bundle = makeBundle(join(directory, 'bundle'), spec);
    const created = { bundle, pidFile: join(bundle, 'init.pid') };
    const hangs: readonly (readonly [string, string, (runc: Runc, options: object) => Promise<unknown>])[] = [
      ['create', 'instead', (runc, options) => runc.create(id, { ...created, ...options })],
      ['start', 'instead', (runc, options) => runc.start(id, options)],
      ['state', 'after', (runc, options) => runc.state(id, options)],
      ['kill', 'instead', (runc, options) => runc.kill(id, 'KILL', options)],
      ['delete', 'instead', (runc, options) => runc.delete(id, { ...options, isForced: true })],
    ];
    for (const [verb, when, call] of hangs) {
      const work = when === 'after' ? `runc "$@" > /dev/null;` : '';
      const hanging = script(`hang-once-${verb}`, `${work} trap '' TERM; sleep 300`);
      await expect(call(hanging, { timeoutMs: 1000 }), verb).rejects.toMatchObject({ kind: 'deadlineExceeded' });
      await call(new Runc({ logDirectory: directory }), {});
    }
  });

  it('that hangs is ended by the signal of its caller, with the reason given', async () => {
    const abort = new AbortController();
    const call = script('hang-signal', 'sleep 300').state('c1', { signal: abort.signal });
    abort.abort(new Error('not wanted any more'));
    await expect(call).rejects.toThrow('not wanted any more');
  });

  it('that is absent is notFound with the words that mean exit code 127', async () => {
    const runc = new Runc({ binary: join(directory, 'absent'), logDirectory: directory });
    await expect(runc.start('c1')).rejects.toMatchObject({
      kind: 'notFound',
      message: expect.stringContaining('executable file not found') as string,
    });
  });

  it('that finds no CRIU is told with what to install', async () => {
    const said = 'CRIU version check failed: exec: \\"criu\\": executable file not found in $PATH';
    const body = `[ "$2" ] && echo '{"level":"error","msg":"${said}"}' > "$2"; exit 1`;
    const runc = script('no-criu', `while [ "$1" != --log ]; do shift; done; ${body}`);
    await expect(runc.checkpoint('c1', { imagePath: directory })).rejects.toThrow(
      /not found in \$PATH: .*package criu/,
    );
  });

  it('gives options of CRIU to checkpoints and restores alone', async () => {
    const file = join(directory, 'criu-options');
    const runc = script('criu-env', `echo "$CRIU_CONFIG_FILE" >> ${file}; echo 1 > ${directory}/pid`);
    const paths = { imagePath: directory, bundle: directory, pidFile: join(directory, 'pid') };
    await runc.checkpoint('c1', { imagePath: directory, criuConfigPath: '/a' });
    await runc.restore('c1', { ...paths, criuConfigPath: '/b' });
    await runc.start('c1');
    expect(readFileSync(file, 'utf8')).toBe('/a\n/b\n\n');
  });

  it('that fails in silence is reported with verb and code', async () => {
    await expect(script('mute', 'exit 7').start('c1')).rejects.toThrow('start exited with code 7');
  });

  it('gets no variable of ours but PATH, XDG_RUNTIME_DIR and a number of threads for Go', async () => {
    process.env['LD_PRELOAD_TEST'] = 'x';
    const file = join(directory, 'env');
    await script('env', `env > ${file}`).start('c1');
    const names = readFileSync(file, 'utf8')
      .trim()
      .split('\n')
      .map((line) => line.split('=')[0]);
    expect(
      names.filter((n) => !['PATH', 'XDG_RUNTIME_DIR', 'GOMAXPROCS', 'PWD', 'SHLVL', '_', 'OLDPWD'].includes(n ?? '')),
    ).toEqual([]);
  });

  it('has only its stdio open', async () => {
    const file = join(directory, 'fds');
    await script('fds', `exec ls /proc/self/fd > ${file}`).start('c1');
    const fds = readFileSync(file, 'utf8').trim().split('\n');
    expect(fds).toEqual(['0', '1', '2', '3']); // 3 is the directory that ls reads
  });
});
