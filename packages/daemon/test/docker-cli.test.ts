/** The docker CLI against boxshipd over the distribution's containerd, its shim and runc. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { routes } from '@boxship/engine-api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing, startEngine, type TestEngine } from './harness.ts';

const reason = missing('docker');

describe.skipIf(reason !== undefined)('docker CLI', () => {
  let engine: TestEngine;
  const none = ['--network', 'none'] as const;
  const run = (...args: readonly string[]) => engine.docker('run', '--rm', ...none, ...args);

  beforeAll(async () => {
    engine = await startEngine();
  });
  afterAll(async () => {
    await engine[Symbol.asyncDispose]();
  });

  it('runs, separates the streams and hands the exit code on', async () => {
    expect(await run('busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7')).toEqual({
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect((await engine.docker('ps', '-aq')).stdout).toBe('');
  });

  it('loses no byte of a large output', async () => {
    const { stdout } = await run('busybox', 'sh', '-c', 'head -c 8000000 /dev/zero | tr "\\0" x');
    expect(stdout.length).toBe(8_000_000);
  });

  it.each([
    ['nosuch', 127, 'exec: "nosuch": executable file not found in $PATH: unknown'],
    ['/etc', 126, 'exec: "/etc": permission denied: unknown'],
  ])('tells why %s cannot run', async (command, code, text) => {
    const result = await run('busybox', command);
    expect(result.code).toBe(code);
    expect(result.stderr).toContain(text);
    expect((await engine.docker('ps', '-aq')).stdout).toBe('');
  });

  it('gives 125 for what the daemon refuses', async () => {
    const user = await run('-u', 'nosuch', 'busybox', 'true');
    expect([user.code, user.stderr]).toEqual([
      125,
      expect.stringContaining('unable to find user nosuch: no matching entries in passwd file'),
    ]);
    const mount = await run('--mount', 'type=bind,src=/nosuch-source,dst=/x', 'busybox', 'true');
    expect(mount.stderr).toContain('bind source path does not exist: /nosuch-source');
  });

  it('applies the default security', async () => {
    const { stdout } = await run('busybox', 'grep', '-E', '^(Cap|Seccomp:|NoNew)', '/proc/1/status');
    expect(stdout.replaceAll('\t', ' ').trim().split('\n')).toEqual([
      'CapInh: 0000000000000000',
      'CapPrm: 00000000a80425fb',
      'CapEff: 00000000a80425fb',
      'CapBnd: 00000000a80425fb',
      'CapAmb: 0000000000000000',
      'NoNewPrivs: 0',
      'Seccomp: 2',
    ]);
    const asDaemon = await run('-u', 'daemon', 'busybox', 'sh', '-c', 'grep CapEff /proc/1/status; id -u');
    expect(asDaemon.stdout).toBe('CapEff:\t0000000000000000\n1\n');
  });

  it('resolves users and groups in the container', async () => {
    expect((await run('busybox', 'id')).stdout).toBe('uid=0(root) gid=0(root) groups=0(root),10(wheel)\n');
    expect((await run('-u', '1234', 'busybox', 'sh', '-c', 'id; pwd; echo $HOME')).stdout).toBe(
      'uid=1234 gid=0(root) groups=0(root)\n/\n/\n',
    );
    expect((await run('-w', '/new/dir', 'busybox', 'pwd')).stdout).toBe('/new/dir\n');
  });

  it('sets limits', async () => {
    const { stdout } = await run(
      '-m',
      '32m',
      '--pids-limit',
      '50',
      '--ulimit',
      'nofile=100:200',
      'busybox',
      'sh',
      '-c',
      'ulimit -n; ulimit -Hn',
    );
    expect(stdout).toBe('100\n200\n');
  });

  it('reports an out-of-memory kill', async () => {
    await engine.docker(
      'run',
      '--name',
      'oom',
      ...none,
      '-m',
      '16m',
      'busybox',
      'sh',
      '-c',
      'x=$(head -c 64000000 /dev/zero | tr "\\0" a)',
    );
    const { stdout } = await engine.docker('inspect', '-f', '{{.State.OOMKilled}} {{.State.ExitCode}}', 'oom');
    expect(stdout).toBe('true 137\n');
  });

  it.each(['json-file', 'local'])('keeps a log with driver %s: all of it, followed, its tail', async (driver) => {
    const { docker } = engine;
    const name = `logs-${driver}`;
    const script = 'echo one; echo two >&2; head -c 40000 /dev/zero | tr "\\0" x; echo; printf end';
    await docker('run', '-d', '--name', name, ...none, '--log-driver', driver, 'busybox', 'sh', '-c', script);
    await docker('wait', name);
    const long = 'x'.repeat(40_000);
    expect(await docker('logs', '-f', name)).toEqual({ code: 0, stdout: `one\n${long}\nend`, stderr: 'two\n' });
    expect((await docker('logs', '--tail', '1', name)).stdout).toBe('end');
    const { stderr, stdout } = await docker('logs', '-t', '--tail', '5', name);
    expect(stderr).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z two\n$/);
    expect(stdout).toMatch(/\n\S+\.\d{9}Z end$/);
  });

  it.each(['json-file', 'local'])('rotates a log of driver %s and reads all of what is kept', async (driver) => {
    const { docker } = engine;
    const name = `rotated-${driver}`;
    const script = 'i=0; while [ $i -lt 1000 ]; do echo "line $i of a log that is rotated"; i=$((i+1)); done';
    // a burst goes on in one file while the one before is compressed
    const options = ['max-size=10k', 'max-file=3', 'compress=false'].flatMap((option) => ['--log-opt', option]);
    const limits = ['--log-driver', driver, ...options];
    await docker('run', '--name', name, ...none, ...limits, 'busybox', 'sh', '-c', script);
    const kept = (await docker('logs', name)).stdout.trim().split('\n');
    expect(kept.at(-1)).toBe('line 999 of a log that is rotated');
    const first = Number(/\d+/.exec(kept[0] ?? '')?.[0]);
    expect(first).toBeGreaterThan(0);
    expect(kept.length).toBe(1000 - first);
    expect((await docker('logs', '--tail', '150', name)).stdout.trim().split('\n').length).toBe(150);
  });

  it('has no log to show of driver none, and marks lines with a tag', async () => {
    const { docker } = engine;
    await docker('run', '--name', 'unlogged', ...none, '--log-driver', 'none', 'busybox', 'echo', 'x');
    expect((await docker('logs', 'unlogged')).stderr).toContain('configured logging driver does not support reading');
    const tag = ['--log-opt', 'tag={{.Name}}/{{.ImageName}}'];
    await docker('run', '--name', 'tagged', ...none, ...tag, 'busybox', 'echo', 'x');
    expect((await docker('logs', '--details', 'tagged')).stdout).toBe('tag=tagged%2Fbusybox x\n');
  });

  it('binds files and shares namespaces', async () => {
    const { docker, directory } = engine;
    const file = join(directory, 'bound');
    writeFileSync(file, 'content');
    expect((await run('-v', `${file}:/x`, 'busybox', 'cat', '/x')).stdout).toBe('content');
    await docker('run', '-d', '--name', 'base', ...none, '--ipc', 'shareable', 'busybox', 'sleep', '1000');
    expect((await run('--pid', 'container:base', 'busybox', 'ps')).stdout).toContain('sleep 1000');
    await docker('exec', 'base', 'sh', '-c', 'echo shared > /dev/shm/f');
    expect((await run('--ipc', 'container:base', 'busybox', 'cat', '/dev/shm/f')).stdout).toBe('shared\n');
    await docker('run', '-d', '--name', 'alone', ...none, 'busybox', 'sleep', '1000');
    expect((await run('--ipc', 'container:alone', 'busybox', 'true')).stderr).toContain(
      'non-shareable IPC (hint: use IpcMode:shareable for the donor container)',
    );
    await docker('rm', '-f', 'alone');
    expect((await run('--ipc', 'host', '--uts', 'host', 'busybox', 'ls', '-d', '/dev/shm')).stdout).toBe('/dev/shm\n');
    expect((await docker('inspect', '-f', '{{.State.Status}}', 'base')).stdout).toBe('running\n');
  });

  it('execs, pauses, restarts, renames, stops and removes', async () => {
    const { docker } = engine;
    await docker(
      'run',
      '-d',
      '--name',
      'life',
      ...none,
      'busybox',
      'sh',
      '-c',
      'trap "exit 5" TERM; while :; do sleep 0.1; done',
    );
    expect(await docker('exec', 'life', 'sh', '-c', 'echo out; echo err >&2; exit 3')).toEqual({
      code: 3,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    const failed = await docker('exec', 'life', 'nosuch');
    expect([failed.code, failed.stdout]).toEqual([
      127,
      expect.stringContaining('executable file not found in $PATH: unknown'),
    ]);
    expect((await docker('exec', '-d', 'life', 'true')).code).toBe(0);
    expect((await docker('pause', 'life')).code).toBe(0);
    expect((await docker('exec', 'life', 'true')).stderr).toContain('is paused, unpause the container before exec');
    expect((await docker('ps', '--format', '{{.Status}}', '-f', 'name=life')).stdout).toMatch(/\(Paused\)/);
    await docker('unpause', 'life');
    expect((await docker('rename', 'life', 'second')).code).toBe(0);
    expect((await docker('restart', '-t', '1', 'second')).code).toBe(0);
    expect((await docker('rm', 'second')).stderr).toContain(
      'container is running: stop the container before removing or force remove',
    );
    expect((await docker('stop', 'second')).code).toBe(0);
    expect((await docker('inspect', '-f', '{{.State.Status}} {{.State.ExitCode}}', 'second')).stdout).toBe(
      'exited 5\n',
    );
    expect((await docker('rm', 'second')).code).toBe(0);
  });

  it('answers 304 and 404 like Docker', async () => {
    const { containers } = engine.client;
    const { Id } = await containers.create({
      Image: 'busybox',
      Cmd: ['sleep', '100'],
      HostConfig: { NetworkMode: 'none' },
    });
    expect(await containers.start(Id)).toBe(true);
    expect(await containers.start(Id)).toBe(false);
    expect(await containers.stop(Id, { timeout: 0 })).toBe(true);
    expect(await containers.stop(Id)).toBe(false);
    await expect(containers.kill(Id)).rejects.toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('is not running'),
    });
    await expect(containers.inspect('nosuch')).rejects.toMatchObject({
      kind: 'notFound',
      message: 'No such container: nosuch',
    });
    await expect(containers.create({ Image: 'nosuch', Cmd: ['x'] })).rejects.toMatchObject({
      message: 'No such image: nosuch:latest',
    });
    await containers.remove(Id);
  });

  it('restarts by policy and gives up', async () => {
    await engine.docker('run', '-d', '--name', 'again', ...none, '--restart', 'on-failure:2', 'busybox', 'false');
    await expect
      .poll(async () => (await engine.docker('inspect', '-f', '{{.State.Status}} {{.RestartCount}}', 'again')).stdout, {
        timeout: 15_000,
      })
      .toBe('exited 2\n');
  });

  it('fills a volume from the image, keeps it, and refuses to remove it in use', async () => {
    const { docker } = engine;
    const { stdout } = await run('-v', 'vol1:/bin', 'busybox', 'sh', '-c', 'ls /bin | wc -l; echo kept > /bin/mark');
    expect(Number(stdout)).toBeGreaterThan(100);
    await docker('create', '--name', 'user', ...none, '-v', 'vol1:/v', 'busybox', 'true');
    expect((await docker('volume', 'rm', 'vol1')).stderr).toContain('volume is in use - [');
    await docker('rm', 'user');
    expect((await run('-v', 'vol1:/v', 'busybox', 'cat', '/v/mark')).stdout).toBe('kept\n');
    expect((await docker('volume', 'rm', 'vol1')).code).toBe(0);
    expect((await run('-v', '/data', 'busybox', 'ls', '-d', '/data')).stdout).toBe('/data\n');
    expect((await docker('volume', 'ls', '-q')).stdout).toBe('');
  });

  it('tells events in order', async () => {
    const since = Math.floor(Date.now() / 1000);
    await run('-l', 'test=events', 'busybox', 'true');
    const until = String(Date.now() / 1000 + 0.05);
    const { stdout } = await engine.docker(
      'events',
      '--since',
      String(since),
      '--until',
      until,
      '--filter',
      'label=test=events',
      '--format',
      '{{.Action}}',
    );
    expect(stdout.trim().split('\n')).toEqual(['create', 'attach', 'start', 'die', 'destroy']);
  });

  it('checks health', async () => {
    await engine.docker(
      'run',
      '-d',
      '--name',
      'health',
      ...none,
      '--health-cmd',
      'test -f /ok',
      '--health-interval',
      '100ms',
      '--health-retries',
      '2',
      'busybox',
      'sleep',
      '100',
    );
    const status = async () => (await engine.docker('inspect', '-f', '{{.State.Health.Status}}', 'health')).stdout;
    await expect.poll(status, { timeout: 20_000 }).toBe('unhealthy\n');
    await engine.docker('exec', 'health', 'touch', '/ok');
    await expect.poll(status, { timeout: 20_000 }).toBe('healthy\n');
    await engine.docker('rm', '-f', 'health');
  });

  it('saves, loads, tags and removes images', async () => {
    const { docker, directory } = engine;
    const archive = join(directory, 'saved.tar');
    await docker('tag', 'busybox', 'a/b:1');
    expect((await docker('save', '-o', archive, 'a/b:1')).code).toBe(0);
    expect(existsSync(archive)).toBe(true);
    expect((await docker('rmi', 'a/b:1')).stdout).toBe('Untagged: a/b:1\n');
    expect((await docker('load', '-i', archive)).stdout).toContain('Loaded image: a/b:1\n');
    expect((await run('a/b:1', 'echo', 'loaded')).stdout).toBe('loaded\n');
    await docker('rmi', 'a/b:1');
  });

  it('copies in and out, follows no link to the host, and tells changes', async () => {
    const { docker, directory } = engine;
    await docker(
      'run',
      '-d',
      '--name',
      'copy',
      ...none,
      '-v',
      'copied:/vol',
      'busybox',
      'sh',
      '-c',
      'mkdir /d; echo hi > /d/f; ln -s /etc/hostname /link; exec sleep 1000',
    );
    await expect.poll(async () => (await docker('exec', 'copy', 'ls', '/link')).code).toBe(0);
    const out = join(directory, 'out');
    expect((await docker('cp', 'copy:/d', out)).code).toBe(0);
    expect(readFileSync(join(out, 'f'), 'utf8')).toBe('hi\n');
    const followed = join(directory, 'followed');
    await docker('cp', '-L', 'copy:/link', followed);
    expect(readFileSync(followed, 'utf8')).toBe((await docker('exec', 'copy', 'cat', '/etc/hostname')).stdout);
    expect((await docker('cp', followed, 'copy:/vol/in')).code).toBe(0);
    expect((await docker('cp', followed, 'copy:/nosuch/in')).stderr).toContain(
      'Could not find the file /nosuch in container copy',
    );
    expect((await docker('diff', 'copy')).stdout.split('\n')).toEqual(
      expect.arrayContaining(['A /d', 'A /d/f', 'A /link']),
    );
    await docker('stop', '-t', '0', 'copy');
    expect((await docker('cp', 'copy:/vol/in', join(directory, 'again'))).code).toBe(0);
    expect((await docker('start', 'copy')).code).toBe(0);
    await docker('rm', '-f', 'copy');
    await docker('volume', 'rm', 'copied');
  });

  it('keeps an image whose name was given to another, until it is pruned', async () => {
    const { docker, directory } = engine;
    const archive = join(directory, 'layer.tar');
    const ids: string[] = [];
    for (const text of ['one', 'two']) {
      writeFileSync(join(directory, 'file'), text);
      execFileSync('tar', ['-C', directory, '-cf', archive, 'file']);
      ids.push((await docker('import', archive, 'moved:1')).stdout.trim());
    }
    expect((await docker('images', '-q', '--no-trunc', '-f', 'dangling=true')).stdout).toBe(`${ids[0]}\n`);
    expect((await docker('inspect', '-f', '{{.RepoTags}}', ids[0] ?? '')).stdout).toBe('[]\n');
    expect((await docker('image', 'prune', '-f')).stdout).toContain(ids[0]);
    expect((await docker('images', '-q', '--no-trunc', 'moved')).stdout).toBe(`${ids[1]}\n`);
    await docker('rmi', 'moved:1');
  });

  it('commits a container', async () => {
    const { docker } = engine;
    await docker(
      'run',
      '--name',
      'commit',
      ...none,
      '-e',
      'A=1',
      'busybox',
      'sh',
      '-c',
      'echo data > /new; rm /bin/yes',
    );
    expect(
      (
        await docker(
          'commit',
          '-m',
          'why',
          '-c',
          'CMD ["sh", "-c", "cat /new; echo $A; ls /bin/yes"]',
          'commit',
          'committed:1',
        )
      ).stdout,
    ).toMatch(/^sha256:/);
    expect(await run('committed:1')).toMatchObject({
      code: 1,
      stdout: 'data\n1\n',
      stderr: expect.stringContaining('No such file'),
    });
    await docker('rm', 'commit');
    expect((await docker('rmi', 'committed:1')).stdout).toContain('Deleted: sha256:');
  });

  it('serves every route of the table', async () => {
    for (const { method, path } of routes) {
      const url = path.replace('{id}', 'nosuch').replace(/\{name(\.\.\.)?\}/, 'nosuch');
      // answers for as long as it is listened to
      if (path === '/events') continue;
      const answer = await engine.client.transport
        .send(method, url, { ...(method === 'POST' || method === 'PUT' ? { body: Buffer.from('') } : {}) })
        .then((message) => {
          message.destroy();
          return 'served';
        })
        .catch((error: Error) => error.message);
      expect([method, path, answer]).not.toEqual([method, path, 'page not found']);
    }
  });

  it('refuses what browsers and unknown versions send', async () => {
    const { transport } = engine.client;
    await expect(transport.json('GET', '/info', { headers: { Origin: 'http://evil' } })).rejects.toMatchObject({
      kind: 'permissionDenied',
    });
    await expect(transport.json('GET', '/v1.99/info', { isUnversioned: true })).rejects.toThrow(
      'client version 1.99 is too new. Maximum supported API version is 1.50',
    );
    await expect(transport.json('GET', '/nosuch')).rejects.toMatchObject({
      kind: 'notFound',
      message: 'page not found',
    });
    await expect(transport.json('GET', '/services')).rejects.toMatchObject({
      kind: 'unavailable',
      message: expect.stringContaining('not a swarm manager'),
    });
  });
});
