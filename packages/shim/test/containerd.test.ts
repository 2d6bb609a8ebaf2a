/**
 * Our shim under the distribution's containerd, in a network namespace and directories of its own, and our logger under its
 * shim. What both shims must have in common is in engine/test/interop/shims.test.ts.
 */
import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { poll } from '@boxship/base';
import { processStat, unmountAll } from '@boxship/linux';
import { makeRootfs } from '@boxship/runc-wrapper/testsuite/bundle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeExecutable, readJsonLog } from './harness.ts';

const has = (name: string) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
const missing = ['containerd', 'ctr', 'containerd-shim-runc-v2', 'runc'].filter((name) => !has(name));

describe.skipIf(missing.length > 0)(
  `under containerd${missing.length > 0 ? ` (missing: ${missing.join(', ')})` : ''}`,
  () => {
    const root = mkdtempSync('/tmp/bxi-');
    const address = join(root, 'c.sock');
    const netns = `bxi${process.pid}`;
    let containerd: ChildProcess;
    let shim: string;
    let logger: string;
    let rootfs: string;

    const startContainerd = async () => {
      containerd = spawn(
        'nsenter',
        [`--net=/run/netns/${netns}`, 'containerd', '--config', join(root, 'config.toml')],
        {
          stdio: ['ignore', 'ignore', 'ignore'],
          env: { ...process.env, BOXSHIP_SHIM_SOCKET_DIR: join(root, 's') },
        },
      );
      await until(() => spawnSync('ctr', ['--address', address, 'version'], { timeout: 5000 }).status === 0);
    };
    const stopContainerd = async () => {
      if (containerd.exitCode !== null || containerd.signalCode !== null) return;
      const ended = new Promise((resolve) => containerd.once('exit', resolve));
      containerd.kill('SIGKILL');
      await ended;
    };
    const until = async (what: () => boolean, timeoutMs = 10_000) =>
      expect(await poll({ everyMs: 20, timeoutMs }, () => what() || undefined), what.toString()).toBe(true);

    beforeAll(async () => {
      rootfs = makeRootfs(join(root, 'fs'));
      shim = makeExecutable(root, 'containerd-shim-boxship-v2', 'main.ts');
      logger = makeExecutable(root, 'boxship-logger', 'logger-main.ts');
      writeFileSync(
        join(root, 'config.toml'),
        `version = 2\nroot = "${root}/root"\nstate = "${root}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "${address}"\n`,
      );
      mkdirSync(join(root, 's'));
      execFileSync('ip', ['netns', 'add', netns]);
      await startContainerd();
    });
    afterAll(async () => {
      for (const id of lines(['t', 'ls', '-q'])) ctrNow(['t', 'rm', '-f', id]);
      await stopContainerd();
      execFileSync('ip', ['netns', 'delete', netns]);
      unmountAll(root);
      rmSync(root, { recursive: true, force: true });
    });

    const ctr = async (args: readonly string[]) => {
      const run = promisify(execFile)('ctr', ['--address', address, ...args], { timeout: 25_000 });
      return await run.then(
        ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
        (error: { code: number; stdout: string; stderr: string }) => ({
          code: error.code,
          stdout: error.stdout,
          stderr: error.stderr,
        }),
      );
    };
    const ctrNow = (args: readonly string[]) =>
      spawnSync('ctr', ['--address', address, ...args], { timeout: 25_000 }).stdout.toString();
    const lines = (args: readonly string[]) => ctrNow(args).trim().split('\n').filter(Boolean);
    const run = (id: string, args: readonly string[], flags: readonly string[] = []) =>
      ctr(['run', ...flags, '--env', 'PATH=/bin', '--runtime', shim, '--rootfs', rootfs, id, ...args]);
    const status = (id: string) =>
      lines(['t', 'ls'])
        .find((line) => line.startsWith(`${id} `))
        ?.split(/\s+/)[2];
    const remove = async (id: string) => {
      await ctr(['t', 'rm', '-f', id]);
      await ctr(['c', 'rm', id]);
    };
    const shimsOf = (id: string) => {
      const found = spawnSync('pgrep', ['-f', `main.ts -namespace default -id ${id} .* serve`]);
      return found.stdout.toString().split('\n').filter(Boolean).map(Number);
    };
    const shimOf = (id: string) => {
      const [pid] = shimsOf(id);
      // 0 would name our own process group
      if (pid === undefined) throw new Error(`no shim of ${id}`);
      return pid;
    };

    it('a detached life: exec, ps, metrics, pause, kill, rm; the shim ends with it', async () => {
      expect((await run('d', ['sleep', '1000'], ['-d'])).code).toBe(0);
      expect(status('d')).toBe('RUNNING');
      const pid = shimOf('d');
      expect(await ctr(['t', 'exec', '--exec-id', 'e', 'd', '/bin/sh', '-c', 'echo in; exit 5'])).toMatchObject({
        code: 5,
        stdout: 'in\n',
      });
      expect(ctrNow(['t', 'metrics', 'd'])).toContain('memory.usage_in_bytes');
      expect(lines(['t', 'ps', 'd'])).toHaveLength(2);
      expect((await ctr(['t', 'pause', 'd'])).code).toBe(0);
      expect(status('d')).toBe('PAUSED');
      expect((await ctr(['t', 'resume', 'd'])).code).toBe(0);
      expect((await ctr(['t', 'kill', '-s', 'KILL', 'd'])).code).toBe(0);
      await until(() => status('d') === 'STOPPED');
      expect((await ctr(['t', 'rm', 'd'])).stderr).toContain('exit code 137');
      expect((await ctr(['c', 'rm', 'd'])).code).toBe(0);
      await until(() => [undefined, 'Z'].includes(processStat(pid)?.state));
      expect(readdirSync(join(root, 's'))).toEqual([]);
      expect(existsSync(join(root, 'state/io.containerd.runtime.v2.task/default/d'))).toBe(false);
    });

    it('a group shares one shim, which ends with the last of it', async () => {
      const flags = ['-d', '--annotation', 'io.containerd.runc.v2.group=grp'];
      await run('g1', ['sleep', '1000'], flags);
      await run('g2', ['sleep', '1000'], flags);
      const pid = shimOf('g1');
      expect(shimsOf('g2')).toEqual([]);
      await remove('g1');
      expect((await ctr(['t', 'exec', '--exec-id', 'x', 'g2', '/bin/echo', 'still'])).stdout).toBe('still\n');
      await remove('g2');
      await until(() => [undefined, 'Z'].includes(processStat(pid)?.state));
    });

    it("when the shim is killed containerd's clean-up finds nothing left of the container", async () => {
      await run('k', ['sleep', '1234'], ['-d']);
      process.kill(shimOf('k'), 'SIGKILL');
      await until(() => !lines(['t', 'ls', '-q']).includes('k'));
      await until(() => spawnSync('pgrep', ['-f', '^sleep 1234']).status === 1);
      await until(() => !existsSync(join(root, 'state/io.containerd.runtime.v2.task/default/k')));
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(
        `${root}/state/io.containerd.runtime.v2.task/default/k`,
      );
      await ctr(['c', 'rm', 'k']);
    });

    it('a stopped shim (SIGSTOP) does not hang the list of tasks', async () => {
      await run('st', ['sleep', '1000'], ['-d']);
      await run('ok', ['sleep', '1000'], ['-d']);
      const pid = shimOf('st');
      process.kill(pid, 'SIGSTOP');
      const before = performance.now();
      expect(lines(['t', 'ls', '-q'])).toContain('ok');
      expect(performance.now() - before).toBeLessThan(5000);
      process.kill(pid, 'SIGCONT');
      await until(() => status('st') === 'RUNNING');
      await remove('st');
      await remove('ok');
    });

    it("our logger works under containerd's own shim", async () => {
      const log = join(root, 'foreign.log');
      const uri = `binary://${logger}?driver=json-file&path=${log}`;
      const done = await ctr([
        'run',
        '-d',
        '--env',
        'PATH=/bin',
        '--log-uri',
        uri,
        '--rootfs',
        rootfs,
        'lg',
        'sh',
        '-c',
        'echo o; echo e >&2; printf rest',
      ]);
      expect(done).toMatchObject({ code: 0 });
      await until(() => existsSync(log) && readJsonLog(log).length === 2);
      await remove('lg'); // only now does containerd's shim close the pipes
      await until(() => readJsonLog(log).length === 3);
      expect(
        readJsonLog(log)
          .map((r) => `${r.stream} ${r.log}`)
          .toSorted(),
      ).toEqual(['stderr e\n', 'stdout o\n', 'stdout rest']);
    });
  },
);
