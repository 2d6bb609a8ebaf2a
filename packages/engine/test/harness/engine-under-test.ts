/** A whole engine in a {@link SandboxHost}, started as a user starts it, with the clients to drive it. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { poll } from '@boxship/base';
import { programPath } from '../../src/paths.ts';
import { endChild, type RunOptions, type RunResult, type SandboxHost } from './sandbox-host.ts';

export type PartName = 'daemon' | 'containerd' | 'network';

export interface EngineUnderTest {
  readonly socket: string;
  readonly containerdSocket: string;
  readonly dataRoot: string;
  readonly execRoot: string;
  /** The real docker CLI. */
  docker(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** As docker, but another exit code than 0 is an error. */
  mustDocker(args: readonly string[], options?: RunOptions): Promise<string>;
  boxship(args: readonly string[], options?: RunOptions): Promise<RunResult>;
  /** 0 while the part is being started again. */
  pidOf(part: PartName): number;
  shimPids(): number[];
  stop(): Promise<void>;
}

/** The docker CLI of the machine; Debian's where there is no newer one. */
export const dockerProgram = existsSync('/usr/local/bin/docker') ? '/usr/local/bin/docker' : 'docker';

export async function startEngineUnderTest(
  host: SandboxHost,
  options: {
    args?: readonly string[];
    name?: string;
    env?: Readonly<Record<string, string>>;
    /** The Node that the engine and all its parts run on; default ours. */
    node?: string;
  } = {},
): Promise<EngineUnderTest> {
  const name = options.name ?? 'engine';
  const socket = host.path(`${name}.sock`);
  const dataRoot = host.path(name, 'data');
  const execRoot = host.path(name, 'exec');
  const args = [
    '-H',
    `unix://${socket}`,
    '--data-root',
    dataRoot,
    '--exec-root',
    execRoot,
    '--pidfile',
    host.path(`${name}.pid`),
    '--insecure-registry',
    '127.0.0.1:5000',
    ...(options.args ?? []),
  ];
  // a later start of the same engine appends to the same log
  const said = () => host.logOf(name).slice(earlier);
  const earlier = existsSync(host.path(`${name}.log`)) ? host.logOf(name).length : 0;
  const child = host.start(
    name,
    options.node ?? process.execPath,
    ['--no-warnings', programPath('boxship-engine'), ...args],
    options.env ?? {},
  );
  const isReady = await poll({ everyMs: 50, timeoutMs: 30_000 }, () =>
    child.exitCode !== null ? 'ended' : said().includes('boxship listens on') ? 'ready' : undefined,
  );
  if (isReady !== 'ready') throw new Error(`the engine did not start:\n${said()}`);
  const env = {
    DOCKER_HOST: `unix://${socket}`,
    BOXSHIP_HOST: `unix://${socket}`,
    DOCKER_CONFIG: host.path('docker-config'),
  };
  const docker = (command: readonly string[], run: RunOptions = {}) =>
    host.run(dockerProgram, command, { ...run, env: { ...env, ...run.env } });
  const engine: EngineUnderTest = {
    socket,
    containerdSocket: `${execRoot}/containerd/containerd.sock`,
    dataRoot,
    execRoot,
    docker,
    mustDocker: async (command, run) => {
      const { code, stdout, stderr } = await docker(command, run);
      if (code !== 0) throw new Error(`docker ${command.join(' ')} ended with ${code}: ${stderr || stdout}`);
      return stdout;
    },
    boxship: (command, run = {}) =>
      host.run(process.execPath, ['--no-warnings', programPath('boxship'), ...command], {
        ...run,
        env: { ...env, ...run.env },
      }),
    pidOf: (part) => {
      const record = `${execRoot}/parts/${part}.json`;
      return existsSync(record) ? (JSON.parse(readFileSync(record, 'utf8')) as { pid: number }).pid : 0;
    },
    shimPids: () =>
      processesWith(`${execRoot}/containerd/containerd.sock`)
        .filter(({ commandLine }) => commandLine.includes('shim.cjs -namespace'))
        .map(({ pid }) => pid),
    stop: () => endChild(child),
  };
  host.onDispose(async () => {
    const ids = (await docker(['ps', '-aq'])).stdout.split('\n').filter((id) => id !== '');
    if (ids.length > 0) await docker(['rm', '-f', '-v', ...ids], { timeoutMs: 60_000 });
    await engine.stop();
  });
  return engine;
}

export function processesWith(text: string): { pid: number; commandLine: string }[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      try {
        const commandLine = readFileSync(`/proc/${entry}/cmdline`, 'latin1').replaceAll('\0', ' ');
        return commandLine.includes(text) ? [{ pid: Number(entry), commandLine }] : [];
      } catch {
        return []; // the process has ended while the list was read
      }
    });
}

/** A root file system of busybox as a tar, made from the host's static busybox. */
export function busyboxTar(host: SandboxHost): string {
  const tar = host.path('busybox.tar');
  if (existsSync(tar)) return tar;
  const script = `set -e; d=$(mktemp -d); mkdir -p $d/bin $d/etc $d/tmp $d/root $d/var/www
    cp /bin/busybox $d/bin/busybox
    for a in $($d/bin/busybox --list); do [ $a = busybox ] || ln -s busybox $d/bin/$a; done
    printf 'root:x:0:0:root:/root:/bin/sh\\ndaemon:x:1:1::/:/bin/false\\nnobody:x:65534:65534::/:/bin/false\\n' > $d/etc/passwd
    printf 'root:x:0:\\ndaemon:x:1:\\nnobody:x:65534:\\n' > $d/etc/group
    echo hello-from-busybox > $d/var/www/index.html
    tar -C $d --owner=0 --group=0 -cf ${tar} . ; rm -rf $d`;
  execFileSync('sh', ['-c', script]);
  return tar;
}

/** Makes `busybox:latest` in the engine by `docker import`. */
export async function importBusybox(host: SandboxHost, engine: Pick<EngineUnderTest, 'mustDocker'>): Promise<void> {
  await engine.mustDocker(['import', '-c', 'CMD ["sh"]', busyboxTar(host), 'busybox:latest']);
}
