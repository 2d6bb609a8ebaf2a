/**
 * A real engine for tests: the distribution's containerd and our network service in a network namespace of their own, and
 * boxshipd as a process that can be killed. Everything lives below one temporary directory and is taken away afterwards.
 */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { poll } from '@boxship/base';
import { createEngineClient, type EngineClient } from '@boxship/engine-api';
import { unmountAll } from '@boxship/linux';

const packages = fileURLToPath(new URL('../../', import.meta.url));
const source = ['--conditions=@boxship/source', '--no-warnings'];

const has = (program: string): boolean =>
  (process.env['PATH'] ?? '').split(':').some((directory) => existsSync(join(directory, program)));

/** Why the tests of a real engine cannot run here; undefined if they can. */
export function missing(...programs: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  const absent = ['runc', 'containerd', 'ip', 'nsenter', ...programs].filter((program) => !has(program));
  if (!existsSync('/bin/busybox')) absent.push('/bin/busybox');
  return absent.length === 0 ? undefined : `needs ${absent.join(', ')}`;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface EngineOptions {
  readonly hasNetwork?: boolean;
}

export interface DockerOptions {
  readonly input?: string | Buffer;
  readonly apiVersion?: string;
}

export interface TestEngine extends AsyncDisposable {
  readonly directory: string;
  readonly socket: string;
  readonly client: EngineClient;
  readonly containerdSocket: string;
  readonly daemonPid: number;
  /** Network namespace that plays the host. */
  readonly netns: string;
  /** Output of a program run in that namespace; empty if it fails. */
  inHost(program: string, ...args: readonly string[]): Promise<string>;
  /** The docker CLI. */
  docker(...args: readonly string[]): Promise<CommandResult>;
  /** With input and, if given, a fixed API version. */
  dockerWith(options: DockerOptions, ...args: readonly string[]): Promise<CommandResult>;
  startDaemon(env?: Readonly<Record<string, string>>, flags?: readonly string[]): Promise<void>;
  /** Resolves when the process is gone. */
  killDaemon(signal?: NodeJS.Signals): Promise<void>;
  /** Resolves when the daemon has ended by itself. */
  daemonEnded(): Promise<void>;
  log(): string;
}

const logger = (directory: string): string => {
  const path = join(directory, 'boxship-logger');
  const main = join(packages, 'shim/src/logger-main.ts');
  writeFileSync(path, `#!/bin/sh\nexec ${process.execPath} ${source.join(' ')} ${main} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
};

export async function startEngine(options: EngineOptions = {}): Promise<TestEngine> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync('/tmp/boxshipd-test-');
  stack.defer(() => {
    unmountAll(directory);
    rmSync(directory, { recursive: true, force: true });
  });
  const netns = `bxd${randomBytes(4).toString('hex')}`;
  execFileSync('ip', ['netns', 'add', netns]);
  stack.defer(() => void execFileSync('ip', ['netns', 'del', netns]));
  execFileSync('ip', ['-n', netns, 'link', 'set', 'lo', 'up']);
  const run = (name: string, program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
    const log = openSync(join(directory, `${name}.log`), 'a');
    return spawn('nsenter', [`--net=/run/netns/${netns}`, program, ...args], {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...env },
    });
  };
  const containerdSocket = join(directory, 'containerd.sock');
  writeFileSync(
    join(directory, 'containerd.toml'),
    `version = 2
root = "${directory}/containerd"
state = "${directory}/containerd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "${directory}/opt"
`,
  );
  const containerd = run('containerd', 'containerd', ['-c', join(directory, 'containerd.toml')]);
  stack.defer(() => end(containerd));
  await appears(containerdSocket);
  const networkSocket = join(directory, 'network.sock');
  if (options.hasNetwork === true) {
    const networkd = run('networkd', process.execPath, [
      ...source, join(packages, 'network/src/main.ts'),
      '--address', networkSocket, '--root', join(directory, 'network'), '--exec-root', join(directory, 'network-run'),
      '--instance', netns,
    ]); // biome-ignore format: pairs
    stack.defer(() => end(networkd));
    await appears(networkSocket);
  }
  const socket = join(directory, 'docker.sock');
  const client = createEngineClient({ host: `unix://${socket}` });
  stack.use(client);
  let daemon: ChildProcess | undefined;
  const config = join(directory, 'daemon.json');
  writeFileSync(config, '{}');
  const engine: Omit<TestEngine, typeof Symbol.asyncDispose> = {
    directory,
    socket,
    client,
    containerdSocket,
    get daemonPid() {
      return daemon?.pid ?? 0;
    },
    netns,
    inHost: (program, ...args) =>
      new Promise((resolve) => {
        execFile('nsenter', [`--net=/run/netns/${netns}`, program, ...args], { timeout: 5000 }, (_error, stdout) =>
          resolve(stdout),
        );
      }),
    docker: (...args) => engine.dockerWith({}, ...args),
    dockerWith: (run, ...args) => runDocker(socket, run, ...args),
    async startDaemon(env = {}, flags = []) {
      daemon = run('daemon', process.execPath, [
        ...source, join(packages, 'daemon/src/main.ts'),
        '-H', `unix://${socket}`, '--data-root', join(directory, 'root'), '--exec-root', join(directory, 'run'),
        '--containerd', containerdSocket, '--logger', logger(directory), '--config-file', config, '--log-level', 'debug',
        ...(options.hasNetwork === true ? ['--network-address', networkSocket] : []),
        ...flags,
      ], env); // biome-ignore format: pairs
      const started = daemon;
      const isUp = await poll({ everyMs: 20, timeoutMs: 15_000 }, async () => {
        if (started.exitCode !== null || started.signalCode !== null) return false;
        return (
          (await client.system.info().then(
            () => true,
            () => undefined,
          )) ?? undefined
        );
      });
      if (isUp === undefined) throw new Error(`daemon does not answer:\n${engine.log()}`);
    },
    async killDaemon(signal = 'SIGKILL') {
      daemon?.kill(signal);
      await engine.daemonEnded();
    },
    async daemonEnded() {
      const ended = daemon;
      await poll(
        { everyMs: 10, timeoutMs: 15_000 },
        () => (ended?.exitCode ?? ended?.signalCode ?? undefined) !== undefined || undefined,
      );
      if (ended?.exitCode === null && ended.signalCode === null) throw new Error('daemon does not end');
    },
    log: () => readFileSync(join(directory, 'daemon.log'), 'utf8'),
  };
  stack.defer(async () => {
    for (const container of await client.containers.list({ all: true }).catch(() => []))
      await client.containers.remove(container.Id, { force: true, v: true }).catch(() => undefined); // the directory goes anyway
    await engine.killDaemon('SIGTERM');
  });
  await engine.startDaemon();
  await importBusybox(engine);
  const owned = stack.move();
  return Object.assign(engine, { [Symbol.asyncDispose]: () => owned.disposeAsync() });
}

/** The docker CLI on the daemon at a socket. */
export function runDocker(
  socket: string,
  { input, apiVersion }: DockerOptions,
  ...args: readonly string[]
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = execFile(
      'docker',
      ['-H', `unix://${socket}`, ...args],
      {
        timeout: 25_000,
        killSignal: 'SIGKILL', // the CLI hands every other signal to the container
        maxBuffer: 256 * 1024 * 1024,
        env: { ...process.env, ...(apiVersion === undefined ? {} : { DOCKER_API_VERSION: apiVersion }) },
      },
      (error, stdout, stderr) =>
        resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr }),
    );
    child.stdin?.on('error', () => {}); // a command that does not read its input
    child.stdin?.end(input);
  });
}

async function end(child: ChildProcess): Promise<void> {
  child.kill('SIGTERM');
  await poll(
    { everyMs: 10, timeoutMs: 10_000 },
    () => child.exitCode !== null || child.signalCode !== null || undefined,
  );
  child.kill('SIGKILL');
}

async function appears(path: string): Promise<void> {
  const isThere = await poll({ everyMs: 20, timeoutMs: 15_000 }, () => existsSync(path) || undefined);
  if (isThere === undefined) throw new Error(`${path} does not appear`);
}

/** A root file system made of the host's static busybox; the archive of it. */
export function busyboxArchive(directory: string): Buffer {
  const root = join(directory, 'busybox-root');
  for (const name of ['bin', 'etc', 'tmp', 'root', 'dev', 'proc', 'sys'])
    mkdirSync(join(root, name), { recursive: true });
  execFileSync('cp', ['/bin/busybox', join(root, 'bin/busybox')]);
  for (const applet of execFileSync('/bin/busybox', ['--list']).toString().trim().split('\n'))
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nwheel:x:10:root\ndaemon:x:1:\n');
  return execFileSync('tar', ['-C', root, '-c', '.'], { maxBuffer: 64 * 1024 * 1024 });
}

async function importBusybox(engine: Pick<TestEngine, 'client' | 'directory'>): Promise<void> {
  const archive = busyboxArchive(engine.directory);
  for await (const message of engine.client.images.import({ repo: 'busybox', tag: 'latest' }, Readable.from([archive])))
    if (message.error !== undefined) throw new Error(message.error);
}
