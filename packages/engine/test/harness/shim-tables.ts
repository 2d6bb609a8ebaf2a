/** Two containerds and two shims in every combination, driven by the same ctr. */
import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { makeRootfs } from '@boxship/runc-wrapper/testsuite/bundle';
import { programPath } from '../../src/paths.ts';
import type { Generation } from './generations.ts';
import { containerdConfig } from './peers.ts';
import { endChild, type RunOptions, type RunResult, type SandboxHost } from './sandbox-host.ts';

export interface ContainerdUnderTest {
  readonly name: string;
  readonly socket: string;
  start(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

export interface Combination {
  readonly title: string;
  readonly containerd: ContainerdUnderTest;
  /** Path of the shim. */
  readonly shim: string;
  /** In which its ctr is found. */
  readonly env: Readonly<Record<string, string>>;
  ctr(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** `ctr run` with this shim on a root file system of busybox. */
  run(id: string, args: readonly string[], flags?: readonly string[]): Promise<RunResult>;
  /** The third column of `ctr tasks ls`. */
  status(id: string): Promise<string | undefined>;
}

/** The first is the reference: nothing of it is ours. */
export function combinations(host: SandboxHost, { env, goShim: theirs }: Generation): Combination[] {
  const rootfs = makeRootfs(host.path('rootfs'));
  const shims = [theirs, programPath('containerd-shim-boxship-v2')];
  return [debian(host, env), ours(host)].flatMap((containerd) =>
    shims.map((shim) => combine(host, containerd, { shim, isGo: shim === theirs, rootfs, env })),
  );
}

interface With {
  readonly shim: string;
  readonly isGo: boolean;
  readonly rootfs: string;
  readonly env: Readonly<Record<string, string>>;
}

function combine(host: SandboxHost, containerd: ContainerdUnderTest, { shim, isGo, rootfs, env }: With): Combination {
  const ctr: Combination['ctr'] = (args, options = {}) =>
    host.run('ctr', ['--address', containerd.socket, '--namespace', 'table', ...args], {
      ...options,
      env: { ...env, ...options.env },
    });
  return {
    title: `${containerd.name} with ${isGo ? "containerd's shim" : 'our shim'}`,
    containerd,
    shim,
    env,
    ctr,
    run: (id, args, flags = []) =>
      ctr(['run', '--runtime', shim, '--env', 'PATH=/bin', ...flags, '--rootfs', rootfs, id, ...args]),
    status: async (id) => {
      const { stdout } = await ctr(['tasks', 'ls']);
      const row = stdout.split('\n').find((line) => line.startsWith(`${id} `));
      return row?.split(/\s+/)[2];
    },
  };
}

function debian(host: SandboxHost, env: Readonly<Record<string, string>>): ContainerdUnderTest {
  const { config, socket } = containerdConfig(host);
  return underTest(host, "Debian's containerd", socket, 'containerd', ['-c', config], env);
}

function ours(host: SandboxHost): ContainerdUnderTest {
  const directory = host.path('our-containerd');
  mkdirSync(directory);
  const socket = `${directory}/c.sock`;
  const flags = ['--root', `${directory}/root`, '--state', `${directory}/state`, '--address', socket];
  const shim = ['--shim', programPath('containerd-shim-boxship-v2')];
  const args = ['--no-warnings', programPath('boxship-containerd'), ...flags, ...shim];
  return underTest(host, 'our containerd', socket, process.execPath, args);
}

function underTest(
  host: SandboxHost,
  name: string,
  socket: string,
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ContainerdUnderTest {
  let child: ChildProcess | undefined;
  return {
    name,
    socket,
    async start() {
      child = host.start(name.replaceAll(/\W+/g, '-'), program, args, {
        ...env,
        BOXSHIP_SHIM_SOCKET_DIR: host.path('s'),
      });
      await host.listening(socket);
    },
    async kill() {
      if (child !== undefined) await endChild(child, 'SIGKILL');
    },
  };
}
