/** The distribution's dockerd on its containerd, with our shim in the place of containerd's own. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { poll } from '@boxship/base';
import { unmountAll } from '@boxship/linux';
import { makeRootfs } from '@boxship/runc-wrapper/testsuite/bundle';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeExecutable } from './harness.ts';

const has = (name: string) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
const missing = ['dockerd', 'docker', 'containerd', 'runc'].filter((name) => !has(name));

describe.skipIf(missing.length > 0)(
  `under dockerd${missing.length > 0 ? ` (missing: ${missing.join(', ')})` : ''}`,
  () => {
    const root = mkdtempSync('/tmp/bxd-');
    const netns = `bxd${process.pid}`;
    const socket = join(root, 'docker.sock');
    let dockerd: ChildProcess;

    const docker = (args: readonly string[], input = '') => {
      const done = spawnSync('docker', ['-H', `unix://${socket}`, ...args], { input, timeout: 25_000 });
      return { code: done.status, out: done.stdout.toString(), err: done.stderr.toString() };
    };
    const run = (args: readonly string[], input = '') => docker(['run', '--network', 'none', ...args], input);

    beforeAll(async () => {
      mkdirSync(join(root, 'bin'));
      // dockerd of this age takes no other shim by name
      makeExecutable(join(root, 'bin'), 'containerd-shim-runc-v2', 'main.ts');
      writeFileSync(join(root, 'daemon.json'), '{}');
      execFileSync('ip', ['netns', 'add', netns]);
      const flags = [
        '-H',
        `unix://${socket}`,
        '--data-root',
        join(root, 'data'),
        '--exec-root',
        join(root, 'exec'),
        '--pidfile',
        join(root, 'pid'),
      ];
      const rest = [
        '--config-file',
        join(root, 'daemon.json'),
        '--bridge',
        'none',
        '--add-runtime',
        `named=${join(root, 'bin', 'containerd-shim-runc-v2')}`,
        '--iptables=false',
        '--ip-masq=false',
        '-s',
        'vfs',
      ];
      dockerd = spawn('nsenter', [`--net=/run/netns/${netns}`, 'dockerd', ...flags, ...rest], {
        stdio: 'ignore',
        env: {
          ...process.env,
          PATH: `${join(root, 'bin')}:${process.env['PATH']}`,
          BOXSHIP_SHIM_SOCKET_DIR: join(root, 's'),
        },
      });
      expect(await poll({ everyMs: 100, timeoutMs: 20_000 }, () => docker(['version']).code === 0 || undefined)).toBe(
        true,
      );
      const tar = execFileSync('tar', ['-C', makeRootfs(join(root, 'fs')), '-c', '.'], { maxBuffer: 1 << 26 });
      spawnSync('docker', ['-H', `unix://${socket}`, 'import', '-', 'bb'], { input: tar });
    });
    afterAll(async () => {
      const ids = docker(['ps', '-aq']).out.split('\n').filter(Boolean);
      if (ids.length > 0) docker(['rm', '-f', ...ids]);
      const ended = new Promise((resolve) => dockerd.once('exit', resolve));
      dockerd.kill('SIGTERM');
      await ended;
      execFileSync('ip', ['netns', 'delete', netns]);
      unmountAll(root);
      rmSync(root, { recursive: true, force: true });
    });

    it('run: output, input, exit codes, words', () => {
      expect(run(['--rm', 'bb', 'sh', '-c', 'echo hi; exit 5'])).toMatchObject({ code: 5, out: 'hi\n' });
      expect(run(['--rm', '-i', 'bb', 'cat'], 'piped\n')).toMatchObject({ code: 0, out: 'piped\n' });
      const bad = run(['--rm', 'bb', '/nope']);
      expect(bad.code).toBe(127);
      expect(bad.err).toContain(
        'OCI runtime create failed: runc create failed: unable to start container process: exec: "/nope"',
      );
    });

    it('takes no shim by name or path: what --add-runtime names is run as an OCI runtime', () => {
      const byName = run(['--rm', '--runtime', 'io.containerd.boxship.v2', 'bb', 'true']);
      expect(byName).toMatchObject({ code: 125, err: expect.stringContaining('Unknown runtime specified') as string });
      const byPath = run(['--rm', '--runtime', 'named', 'bb', 'true']);
      expect(byPath.code).toBe(125);
      expect(byPath.err).toContain('OCI runtime create failed');
    });

    it('exec, pause, top, stats, stop; a kill for want of memory', () => {
      expect(run(['-d', '--name', 'box', 'bb', 'sleep', '1000']).code).toBe(0);
      expect(docker(['exec', 'box', 'echo', 'in'])).toMatchObject({ code: 0, out: 'in\n' });
      expect(docker(['exec', '-i', 'box', 'cat'], 'pp')).toMatchObject({ code: 0, out: 'pp' });
      expect(docker(['exec', 'box', '/nope']).code).toBe(126);
      expect(docker(['top', 'box']).out).toContain('sleep 1000');
      expect(docker(['stats', '--no-stream', '--format', '{{.PIDs}}', 'box']).out).toBe('1\n');
      expect(docker(['pause', 'box']).code).toBe(0);
      expect(docker(['ps', '--format', '{{.Status}}']).out).toContain('(Paused)');
      expect(docker(['unpause', 'box']).code).toBe(0);
      expect(docker(['stop', '-t', '1', 'box']).code).toBe(0);
      expect(docker(['inspect', '-f', '{{.State.ExitCode}} {{.State.OOMKilled}}', 'box']).out).toBe('137 false\n');
      expect(run(['--name', 'oom', '-m', '8m', 'bb', 'sh', '-c', 'x=a; while :; do x=$x$x; done']).code).toBe(137);
      expect(docker(['inspect', '-f', '{{.State.ExitCode}} {{.State.OOMKilled}}', 'oom']).out).toBe('137 true\n');
    }, 60_000);

    it('the json-file that dockerd writes is the one that our writer writes', async () => {
      const { JsonFormat } = await import('../src/log/json-format.ts');
      const { LogFile } = await import('../src/log/log-file.ts');
      const { LogWriter } = await import('../src/log/log-writer.ts');
      const { silentLogger } = await import('@boxship/base');
      const scripts = [
        'printf "a\\001\\t\\r\\n\\"q\\\\\\\\ <>& \\303\\251 \\342\\200\\250 \\377\\376 x\\303\\n"',
        'printf tail',
        'head -c 40000 /dev/zero | tr "\\0" x; echo',
        'printf "\\360\\237\\230\\200\\n\\355\\240\\200\\n\\300\\257\\n"',
      ];
      const withoutTime = (path: string) => readFileSync(path, 'latin1').replace(/"time":"[^"]*"/g, '');
      for (const [i, script] of scripts.entries()) {
        run(['--name', `log${i}`, 'bb', 'sh', '-c', script]);
        const theirs = docker(['inspect', '-f', '{{.LogPath}}', `log${i}`]).out.trim();
        const path = join(root, `ours${i}`);
        const format = new JsonFormat();
        const file = new LogFile({
          path,
          maxSizeBytes: undefined,
          maxFiles: 1,
          isCompressed: false,
          format,
          log: silentLogger,
        });
        const writer = new LogWriter(file, format, silentLogger);
        writer.finish('stdout', execFileSync('/bin/busybox', ['sh', '-c', script]), 1n);
        writer.close();
        expect(withoutTime(path)).toBe(withoutTime(theirs));
      }
    });
  },
);
