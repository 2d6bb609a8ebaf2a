/** Our client on both engines: ours and Debian's dockerd give the same output and exit codes. */
import { chmodSync, existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { importBusybox, startEngineUnderTest } from '../harness/engine-under-test.ts';
import { startDockerd } from '../harness/peers.ts';
import { type RunOptions, type RunResult, SandboxHost } from '../harness/sandbox-host.ts';

type Client = (args: readonly string[], options?: RunOptions) => Promise<RunResult>;

const clientOf =
  (host: SandboxHost, socket: string): Client =>
  (args, options = {}) =>
    host.run(process.execPath, ['--no-warnings', programPath('boxship'), ...args], {
      ...options,
      env: { BOXSHIP_HOST: `unix://${socket}`, DOCKER_CONFIG: host.path('docker-config'), ...options.env },
    });

describe.each(['boxship', 'dockerd'])('boxship on %s', (engineName) => {
  let host: SandboxHost;
  let client: Client;
  const must = async (args: readonly string[], options?: RunOptions): Promise<string> => {
    const { code, stdout, stderr } = await client(args, options);
    if (code !== 0) throw new Error(`boxship ${args.join(' ')} ended with ${code}: ${stderr || stdout}`);
    return stdout;
  };

  beforeAll(async () => {
    host = new SandboxHost();
    const engine = engineName === 'boxship' ? await startEngineUnderTest(host) : await startDockerd(host);
    await importBusybox(host, engine);
    client = clientOf(host, engine.socket);
  });
  afterAll(async () => {
    await host[Symbol.asyncDispose]();
  });

  it('runs, with streams and exit codes', async () => {
    expect(await client(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 7'])).toEqual({
      code: 7,
      stdout: 'out\n',
      stderr: 'err\n',
    });
    expect(
      (await client(['run', '--rm', '-i', 'busybox', 'wc', '-c'], { input: 'x'.repeat(300_000) })).stdout.trim(),
    ).toBe('300000');
    expect((await client(['run', '--rm', 'busybox', 'nosuch'])).code).toBe(127);
    expect((await client(['run', '--rm', 'busybox', '/etc'])).code).toBe(126);
    expect((await client(['run', '--rm', '--nosuch', 'busybox'])).code).toBe(125);
    expect((await client(['run', '--rm', '--restart', 'always', 'busybox'])).code).toBe(125);
  });

  it('passes environment, user, directory, entrypoint, volumes and limits', async () => {
    chmodSync(host.directory, 0o755);
    const script = 'echo $A $(id -u) $(pwd) $(ls /v)';
    const args = [
      '-e',
      'A=b c',
      '-u',
      'daemon',
      '-w',
      '/tmp',
      '-v',
      `${host.directory}:/v:ro`,
      '-m',
      '64m',
      '--cpus',
      '0.5',
    ];
    expect(await must(['run', '--rm', ...args, '--entrypoint', 'sh', 'busybox', '-c', script])).toMatch(
      /^b c 1 \/tmp .*busybox\.tar/,
    );
  });

  it('keeps a container in the background and works on it', async () => {
    const cidfile = host.path(`cid-${engineName}`);
    const id = (
      await must([
        'run',
        '-d',
        '--name',
        'worker',
        '-p',
        '8091:80',
        '--cidfile',
        cidfile,
        '-l',
        'a=b',
        'busybox',
        'sh',
        '-c',
        'echo up; exec httpd -f -h /var/www',
      ])
    ).trim();
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(existsSync(cidfile)).toBe(true);
    expect(await host.must('curl', ['-s', '--retry', '5', '--retry-connrefused', 'http://127.0.0.1:8091/'])).toBe(
      'hello-from-busybox\n',
    );
    expect(await must(['ps', '--format', '{{.Names}}|{{.Image}}|{{.Labels}}|{{.State}}'])).toBe(
      'worker|busybox|a=b|running\n',
    );
    expect(await must(['ps', '-q', '--no-trunc'])).toBe(`${id}\n`);
    expect(await must(['ps'])).toMatch(
      /^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\n[0-9a-f]{12} +busybox +"sh -c 'echo up; exe/,
    );
    expect(await must(['port', 'worker'])).toContain('80/tcp -> 0.0.0.0:8091\n');
    expect(await must(['logs', 'worker'])).toBe('up\n');
    expect((await client(['exec', 'worker', 'sh', '-c', 'exit 4'])).code).toBe(4);
    expect((await client(['exec', '-i', 'worker', 'cat'], { input: 'in' })).stdout).toBe('in');
    expect(await must(['inspect', '-f', '{{.State.Running}} {{index .Config.Labels "a"}}', 'worker'])).toBe('true b\n');
    expect(await must(['top', 'worker'])).toContain('httpd');
    expect(await must(['stats', '--no-stream', '--format', '{{.Name}} {{.PIDs}}', 'worker'])).toBe('worker 1\n');
    await must(['pause', 'worker']);
    await must(['unpause', 'worker']);
    await must(['rename', 'worker', 'labourer']);
    expect(await must(['kill', '-s', 'KILL', 'labourer'])).toBe('labourer\n');
    expect(await must(['wait', 'labourer'])).toBe('137\n');
    expect(await must(['ps', '-a', '--filter', 'status=exited', '--format', '{{.Status}}'])).toMatch(
      /^Exited \(137\) /,
    );
    expect(await must(['start', 'labourer'])).toBe('labourer\n');
    expect(await must(['stop', '-t', '0', 'labourer'])).toBe('labourer\n');
    expect(await must(['rm', 'labourer'])).toBe('labourer\n');
    expect(await client(['inspect', 'labourer'])).toEqual({
      code: 1,
      stdout: '[]\n',
      stderr: 'Error: No such object: labourer\n',
    });
  });

  it('manages images', async () => {
    await must(['tag', 'busybox', 'copy:1']);
    expect(await must(['images', '--format', '{{.Repository}}:{{.Tag}}', 'copy'])).toBe('copy:1\n');
    expect(await must(['image', 'inspect', '-f', '{{.Os}} {{json .Config.Cmd}}', 'copy:1'])).toBe('linux ["sh"]\n');
    expect(await must(['rmi', 'copy:1'])).toContain('Untagged: copy:1');
    expect(await must(['import', '-c', 'ENV X=1', host.path('busybox.tar'), 'imported:1'])).toMatch(
      /^sha256:[0-9a-f]{64}\n$/,
    );
    expect(await must(['run', '--rm', 'imported:1', 'sh', '-c', 'echo $X'])).toBe('1\n');
    await must(['rmi', 'imported:1']);
  });

  it('manages networks and volumes', async () => {
    await must(['network', 'create', '--subnet', '10.77.0.0/24', 'net1']);
    expect(await must(['network', 'ls', '--filter', 'name=net1', '--format', '{{.Name}} {{.Driver}}'])).toBe(
      'net1 bridge\n',
    );
    expect(await must(['network', 'inspect', '-f', '{{(index .IPAM.Config 0).Subnet}}', 'net1'])).toBe(
      '10.77.0.0/24\n',
    );
    await must(['network', 'rm', 'net1']);
    expect(await must(['volume', 'create', 'vol1'])).toBe('vol1\n');
    expect(await must(['volume', 'ls', '-q'])).toBe('vol1\n');
    await must(['volume', 'rm', 'vol1']);
    expect((await client(['volume', 'rm', 'vol1'])).code).toBe(1);
  });

  it('tells about engine and events', async () => {
    expect(await must(['version', '--format', '{{.Server.ApiVersion}}'])).toMatch(/^1\.\d+\n$/);
    expect(await must(['info', '--format', '{{.OSType}} {{.Swarm.LocalNodeState}}'])).toBe('linux inactive\n');
    const since = String(Date.now() / 1000);
    await must(['run', '--rm', '--network', 'none', 'busybox', 'true']);
    const events = await must([
      'events',
      '--since',
      since,
      '--until',
      String(Date.now() / 1000 + 1),
      '--filter',
      'type=container',
      '--format',
      '{{.Action}}',
    ]);
    expect(events).toBe('create\nattach\nstart\ndie\ndestroy\n');
  });
});
