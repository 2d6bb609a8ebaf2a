/** The real programs that tests compare with or connect to, each with roots of its own in a {@link SandboxHost}. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { poll } from '@boxship/base';
import { dockerProgram } from './engine-under-test.ts';
import type { RunOptions, RunResult, SandboxHost } from './sandbox-host.ts';

/** Debian's docker-registry on 127.0.0.1:5000 of the namespace. */
export async function startRegistry(host: SandboxHost, options: { storage?: string } = {}): Promise<string> {
  const config = host.path('registry.yml');
  const storage = options.storage ?? host.path('registry');
  mkdirSync(storage, { recursive: true });
  writeFileSync(
    config,
    `version: 0.1\nstorage: {filesystem: {rootdirectory: ${storage}}}\nhttp: {addr: '127.0.0.1:5000'}\nlog: {level: error}\n`,
  );
  host.start('registry', 'docker-registry', ['serve', config]);
  const isUp = await poll({ everyMs: 50, timeoutMs: 10_000 }, async () => {
    const { code } = await host.run('curl', ['-sf', 'http://127.0.0.1:5000/v2/']);
    return code === 0 ? true : undefined;
  });
  if (isUp === undefined) throw new Error(`the registry does not answer: ${host.logOf('registry')}`);
  return '127.0.0.1:5000';
}

export interface Peer {
  readonly socket: string;
}

/** Writes the configuration of a containerd with roots of its own. */
export function containerdConfig(host: SandboxHost): { readonly config: string; readonly socket: string } {
  const directory = host.path('peer-containerd');
  mkdirSync(directory, { recursive: true });
  const socket = `${directory}/containerd.sock`;
  writeFileSync(
    `${directory}/config.toml`,
    `version = 2\nroot = "${directory}/root"\nstate = "${directory}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n address = "${socket}"\n[plugins."io.containerd.internal.v1.opt"]\n path = "${directory}/opt"\n`,
  );
  return { config: `${directory}/config.toml`, socket };
}

/** Debian's containerd, of the generation whose `env` is given. */
export async function startContainerd(host: SandboxHost, env: Readonly<Record<string, string>> = {}): Promise<Peer> {
  const { config, socket } = containerdConfig(host);
  host.start('peer-containerd', 'containerd', ['-c', config], env);
  await host.listening(socket);
  return { socket };
}

export interface DockerdPeer extends Peer {
  docker(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  mustDocker(args: readonly string[], options?: RunOptions): Promise<string>;
}

/** Debian's dockerd, with a containerd of its own or the one named. */
export async function startDockerd(
  host: SandboxHost,
  options: { containerd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<DockerdPeer> {
  const directory = host.path('peer-dockerd');
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/daemon.json`, '{}');
  const socket = `${directory}/docker.sock`;
  const args = [
    '-H',
    `unix://${socket}`,
    '--data-root',
    `${directory}/data`,
    '--exec-root',
    `${directory}/exec`,
    '--pidfile',
    `${directory}/pid`,
    '--config-file',
    `${directory}/daemon.json`,
    '--insecure-registry',
    '127.0.0.1:5000',
  ];
  if (options.containerd !== undefined) args.push('--containerd', options.containerd);
  host.start('peer-dockerd', 'dockerd', args, options.env);
  const env = { DOCKER_HOST: `unix://${socket}`, DOCKER_CONFIG: host.path('docker-config') };
  const docker = (command: readonly string[], run: RunOptions = {}) =>
    host.run(dockerProgram, command, { ...run, env: { ...env, ...run.env } });
  const isUp = await poll({ everyMs: 100, timeoutMs: 30_000 }, async () =>
    (await docker(['version'])).code === 0 ? true : undefined,
  );
  if (isUp === undefined) throw new Error(`dockerd does not answer: ${host.logOf('peer-dockerd')}`);
  host.onDispose(async () => {
    const ids = (await docker(['ps', '-aq'])).stdout.split('\n').filter((id) => id !== '');
    if (ids.length > 0) await docker(['rm', '-f', '-v', ...ids]);
  });
  return {
    socket,
    docker,
    async mustDocker(command, run) {
      const { code, stdout, stderr } = await docker(command, run);
      if (code !== 0) throw new Error(`docker ${command.join(' ')} ended with ${code}: ${stderr || stdout}`);
      return stdout;
    },
  };
}
