/** The real docker CLI on our engine: run, streams, ports, exec, logs, stop, exit codes. */
import { describe, expect, it } from 'vitest';
import { engineForFile } from '../harness/engine-for-file.ts';

const { host, engine } = await engineForFile();

describe('docker run', () => {
  it('shows the output of a container', async () => {
    expect(await engine.docker(['run', '--rm', 'busybox', 'echo', 'hi'])).toEqual({
      code: 0,
      stdout: 'hi\n',
      stderr: '',
    });
  });

  it('ends with the exit code of the process, fifty times without a lost one', async () => {
    for (let code = 0; code < 50; code++) {
      const { code: got } = await engine.docker([
        'run',
        '--rm',
        '--network',
        'none',
        'busybox',
        'sh',
        '-c',
        `exit ${code}`,
      ]);
      expect(got).toBe(code);
    }
  }, 120_000);

  it('keeps stdout and stderr apart', async () => {
    const { stdout, stderr } = await engine.docker(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2']);
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
  });

  it('passes standard input through to its end', async () => {
    const input = Array.from({ length: 100_000 }, (_, line) => `${line}\n`).join('');
    const { stdout } = await engine.docker(['run', '-i', '--rm', 'busybox', 'wc', '-l'], { input });
    expect(stdout.trim()).toBe('100000');
  });

  it('loses no byte of a large output at the end of the process', async () => {
    const { stdout } = await engine.docker(['run', '--rm', 'busybox', 'dd', 'if=/dev/zero', 'bs=1M', 'count=64'], {
      timeoutMs: 60_000,
    });
    expect(stdout.length).toBe(64 * 1024 * 1024);
  });

  it('has the exit codes and words of a command that cannot be started', async () => {
    const missing = await engine.docker(['run', '--rm', 'busybox', 'nosuch']);
    expect(missing.code).toBe(127);
    expect(missing.stderr).toContain('exec: "nosuch": executable file not found in $PATH');
    expect((await engine.docker(['run', '--rm', 'busybox', '/etc'])).code).toBe(126);
    expect((await engine.docker(['run', '--rm', '-v', 'x:rel', 'busybox', 'true'])).code).toBe(125);
  });

  it('obeys limits of memory, cpu and pids', async () => {
    const args = ['run', '--rm', '-m', '64m', '--cpus', '0.5', '--pids-limit', '50', 'busybox', 'sh', '-c'];
    const script =
      'cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max';
    const { stdout } = await engine.docker([...args, script]);
    expect(stdout).toMatch(/^67108864\n50000[^\n]*\n50\n$/);
  });

  it('reports a container that was killed for its memory', async () => {
    const { code } = await engine.docker([
      'run',
      '--name',
      'oom',
      '-m',
      '16m',
      'busybox',
      'sh',
      '-c',
      'x=a; while :; do x=$x$x; done',
    ]);
    expect(code).toBe(137);
    expect(await engine.mustDocker(['inspect', '-f', '{{.State.OOMKilled}} {{.State.ExitCode}}', 'oom'])).toBe(
      'true 137\n',
    );
  });

  it('confines a container as Docker does by default', async () => {
    const { stdout } = await engine.docker([
      'run',
      '--rm',
      'busybox',
      'grep',
      '-E',
      'CapEff|Seccomp:|NoNewPrivs',
      '/proc/1/status',
    ]);
    expect(stdout.replaceAll('\t', ' ')).toBe('CapEff: 00000000a80425fb\nNoNewPrivs: 0\nSeccomp: 2\n');
  });
});

describe('a published port', () => {
  it('is fetched with curl, and is free again afterwards', async () => {
    const id = (
      await engine.mustDocker([
        'run',
        '-d',
        '--name',
        'web',
        '-p',
        '8080:80',
        'busybox',
        'httpd',
        '-f',
        '-h',
        '/var/www',
      ])
    ).trim();
    expect(await host.must('curl', ['-s', '--retry', '5', '--retry-connrefused', 'http://127.0.0.1:8080/'])).toBe(
      'hello-from-busybox\n',
    );
    const { code, stderr } = await engine.docker(['run', '--rm', '-p', '8080:80', 'busybox', 'true']);
    expect(code).toBe(125);
    expect(stderr).toContain('port is already allocated');
    expect(await engine.mustDocker(['port', 'web'])).toContain('80/tcp -> 0.0.0.0:8080');
    await engine.mustDocker(['rm', '-f', id]);
    expect((await engine.docker(['run', '--rm', '-p', '8080:80', 'busybox', 'true'])).code).toBe(0);
  });

  it('is random when only the container port is given', async () => {
    await engine.mustDocker(['run', '-d', '--name', 'random', '-p', '80', 'busybox', 'httpd', '-f', '-h', '/var/www']);
    const [, port = ''] = /0\.0\.0\.0:(\d+)/.exec(await engine.mustDocker(['port', 'random', '80'])) ?? [];
    expect(Number(port)).toBeGreaterThan(1024);
    expect(await host.must('curl', ['-s', '--retry', '5', '--retry-connrefused', `http://127.0.0.1:${port}/`])).toBe(
      'hello-from-busybox\n',
    );
    await engine.mustDocker(['rm', '-f', 'random']);
  });
});

describe('a running container', () => {
  it('takes exec, shows logs, and stops with TERM and then KILL', async () => {
    await engine.mustDocker([
      'run',
      '-d',
      '--name',
      'deaf',
      'busybox',
      'sh',
      '-c',
      'trap "" TERM; echo started; while :; do sleep 0.1; done',
    ]);
    expect(await engine.mustDocker(['exec', 'deaf', 'sh', '-c', 'echo in $0'])).toBe('in sh\n');
    expect((await engine.docker(['exec', 'deaf', 'sh', '-c', 'exit 9'])).code).toBe(9);
    expect((await engine.docker(['exec', '-i', 'deaf', 'cat'], { input: 'through' })).stdout).toBe('through');
    expect(await engine.mustDocker(['logs', 'deaf'])).toBe('started\n');
    const before = Date.now();
    await engine.mustDocker(['stop', '-t', '2', 'deaf']);
    expect(Date.now() - before).toBeGreaterThanOrEqual(2_000);
    expect(await engine.mustDocker(['inspect', '-f', '{{.State.ExitCode}}', 'deaf'])).toBe('137\n');
  });

  it('is followed with logs -f until it ends', async () => {
    await engine.mustDocker([
      'run',
      '-d',
      '--name',
      'counter',
      'busybox',
      'sh',
      '-c',
      'for i in 1 2 3 4 5; do echo $i; sleep 0.1; done; printf tail',
    ]);
    expect((await engine.docker(['logs', '-f', 'counter'])).stdout).toBe('1\n2\n3\n4\n5\ntail');
  });

  it('is paused, renamed, restarted, listed and watched', async () => {
    await engine.mustDocker(['run', '-d', '--name', 'one', '-l', 'a=b', 'busybox', 'sleep', '1000']);
    await engine.mustDocker(['pause', 'one']);
    expect(await engine.mustDocker(['ps', '--filter', 'label=a=b', '--format', '{{.Status}}'])).toMatch(/\(Paused\)/);
    await engine.mustDocker(['unpause', 'one']);
    await engine.mustDocker(['rename', 'one', 'two']);
    await engine.mustDocker(['restart', '-t', '0', 'two']);
    expect(await engine.mustDocker(['top', 'two'])).toContain('sleep 1000');
    expect(await engine.mustDocker(['stats', '--no-stream', '--format', '{{.PIDs}}', 'two'])).toBe('1\n');
    expect(await engine.mustDocker(['ps', '-q', '--filter', 'name=^/two$'])).toMatch(/^[0-9a-f]{12}\n$/);
    await engine.mustDocker(['rm', '-f', 'two']);
  });
});

describe('volumes and mounts', () => {
  it('keeps a named volume, fills it from the image, and binds host directories', async () => {
    await engine.mustDocker(['run', '--rm', '-v', 'data:/var/www', 'busybox', 'sh', '-c', 'echo more > /var/www/more']);
    expect(await engine.mustDocker(['run', '--rm', '-v', 'data:/d', 'busybox', 'sh', '-c', 'cat /d/*'])).toBe(
      'hello-from-busybox\nmore\n',
    );
    expect(
      await engine.mustDocker([
        'run',
        '--rm',
        '-v',
        `${host.directory}:/h:ro`,
        'busybox',
        'sh',
        '-c',
        'ls /h | grep -c busybox.tar; touch /h/x 2>&1 || true',
      ]),
    ).toContain('Read-only file system');
    expect(
      await engine.mustDocker([
        'run',
        '--rm',
        '--tmpfs',
        '/t:size=1m',
        'busybox',
        'sh',
        '-c',
        'grep " /t " /proc/mounts',
      ]),
    ).toContain('size=1024k');
    await engine.mustDocker(['volume', 'rm', 'data']);
  });
});

describe('networks', () => {
  it('come and go, and containers in one reach each other by address', async () => {
    await engine.mustDocker(['network', 'create', '--subnet', '10.99.0.0/24', 'n1']);
    await engine.mustDocker([
      'run',
      '-d',
      '--name',
      'peer',
      '--network',
      'n1',
      '--ip',
      '10.99.0.9',
      'busybox',
      'httpd',
      '-f',
      '-h',
      '/var/www',
    ]);
    expect(
      (await engine.docker(['run', '--rm', '--network', 'n1', 'busybox', 'wget', '-qO-', 'http://10.99.0.9/'])).stdout,
    ).toBe('hello-from-busybox\n');
    expect((await engine.docker(['network', 'rm', 'n1'])).stderr).toContain('has active endpoints');
    await engine.mustDocker(['rm', '-f', 'peer']);
    await engine.mustDocker(['network', 'rm', 'n1']);
  });

  it('none has only lo, host is the host, container:NAME is shared', async () => {
    expect(await engine.mustDocker(['run', '--rm', '--network', 'none', 'busybox', 'ls', '/sys/class/net'])).toBe(
      'lo\n',
    );
    expect(
      await engine.mustDocker(['run', '--rm', '--network', 'host', 'busybox', 'readlink', '/proc/self/ns/net']),
    ).toBe(await host.must('readlink', ['/proc/self/ns/net']));
    await engine.mustDocker(['run', '-d', '--name', 'owner', 'busybox', 'sleep', '1000']);
    const address = await engine.mustDocker(['inspect', '-f', '{{.NetworkSettings.IPAddress}}', 'owner']);
    expect(
      await engine.mustDocker([
        'run',
        '--rm',
        '--network',
        'container:owner',
        'busybox',
        'ip',
        '-4',
        'addr',
        'show',
        'eth0',
      ]),
    ).toContain(address.trim());
    await engine.mustDocker(['rm', '-f', 'owner']);
  });
});
