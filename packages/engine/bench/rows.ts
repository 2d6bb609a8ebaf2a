/** The rows of the ratio table: what both engines are asked to do. Targets are those of the design. */
import { once } from 'node:events';
import { poll } from '@boxship/base';
import { endChild, type RunOptions, type RunResult, type SandboxHost } from '../test/harness/sandbox-host.ts';
import type { Shape } from './images.ts';

export type Docker = (args: readonly string[], options?: RunOptions) => Promise<RunResult>;

export interface Row {
  readonly title: string;
  readonly target: number;
  readonly rounds: number;
  /** Before the rounds. */
  readonly prepare?: (docker: Docker, host: SandboxHost) => Promise<void>;
  /** Before each run; not measured. */
  readonly before?: (docker: Docker, host: SandboxHost) => Promise<void>;
  readonly run: (docker: Docker, host: SandboxHost) => Promise<void>;
  /** The image that must be in the registry. */
  readonly shape?: Shape;
  readonly warmUps?: number;
  readonly finish?: (docker: Docker, host: SandboxHost) => Promise<void>;
}

const must = async (result: Promise<RunResult>): Promise<void> => {
  const { code, stderr } = await result;
  if (code !== 0) throw new Error(`a measured command ended with ${code}: ${stderr}`);
};

const runTrue =
  (network: string): Row['run'] =>
  (docker) =>
    must(docker(['run', '--rm', '--network', network, 'busybox', 'true']));

/** Bytes of a throughput row. */
const amount = '2G';
const iperfPort = '5201';

const fieldOf = async (docker: Docker, format: string, name: string): Promise<string> =>
  (await docker(['inspect', '-f', format, name])).stdout.trim();

const pidOf = (docker: Docker, name: string): Promise<string> => fieldOf(docker, '{{.State.Pid}}', name);

/** The servers of throughput rows, by the host they run in. */
const servers = new Map<SandboxHost, ReturnType<SandboxHost['start']>>();

/** Two containers, one with an iperf3 server in its network and a published port. */
async function prepareThroughput(docker: Docker, host: SandboxHost): Promise<void> {
  await must(docker(['run', '-d', '--name', 'bench-server', '-p', `9201:${iperfPort}`, 'busybox', 'sleep', '100000']));
  await must(docker(['run', '-d', '--name', 'bench-client', 'busybox', 'sleep', '100000']));
  const pid = await pidOf(docker, 'bench-server');
  const server = host.start('iperf3', 'nsenter', ['-t', pid, '-n', 'iperf3', '-s', '-p', iperfPort, '--forceflush']);
  servers.set(host, server);
  await Promise.race([once(server, 'exit'), untilListening(host, pid)]);
}

async function untilListening(host: SandboxHost, pid: string): Promise<void> {
  while (!(await host.run('nsenter', ['-t', pid, '-n', 'ss', '-lnt'])).stdout.includes(`:${iperfPort} `));
}

async function finishThroughput(docker: Docker, host: SandboxHost): Promise<void> {
  const server = servers.get(host);
  if (server !== undefined) await endChild(server);
  await must(docker(['rm', '-f', 'bench-server', 'bench-client']));
}

/** What was removed has left the disk, and what was written is on it: it would be counted with the next run. */
async function untilQuiet(host: SandboxHost): Promise<void> {
  const find = [host.directory, '-maxdepth', '7', '-name', 'rm-*'];
  const isQuiet = await poll({ everyMs: 50, timeoutMs: 60_000 }, async () =>
    (await host.run('find', find)).stdout === '' ? true : undefined,
  );
  if (isQuiet === undefined) throw new Error('an image that was removed is still there after a minute');
  await host.must('sync', ['-f', host.directory]);
}

const pull = (shape: Shape, title: string, target: number): Row => {
  const name = `127.0.0.1:5000/${shape}:1`;
  return {
    title,
    target,
    rounds: 3,
    warmUps: 1,
    shape,
    before: async (docker, host) => {
      await docker(['rmi', '-f', name], { timeoutMs: 120_000 });
      await untilQuiet(host);
    },
    run: (docker) => must(docker(['pull', '-q', name], { timeoutMs: 300_000 })),
    finish: async (docker) => void (await docker(['rmi', '-f', name], { timeoutMs: 120_000 })),
  };
};

export const rows: readonly Row[] = [
  { title: '`run --rm busybox true`, bridge', target: 0.28, rounds: 15, run: runTrue('bridge') },
  { title: 'same, `--network none`', target: 0.35, rounds: 15, run: runTrue('none') },
  { title: 'same, `--network host`', target: 0.65, rounds: 15, run: runTrue('host') },
  {
    title: 'same, one published port',
    target: 0.28,
    rounds: 10,
    run: (docker) => must(docker(['run', '--rm', '-p', '8099:80', 'busybox', 'true'])),
  },
  {
    title: '`exec true`',
    target: 0.6,
    rounds: 15,
    prepare: (docker) => must(docker(['run', '-d', '--name', 'bench-exec', 'busybox', 'sleep', '100000'])),
    run: (docker) => must(docker(['exec', 'bench-exec', 'true'])),
    finish: (docker) => must(docker(['rm', '-f', 'bench-exec'])),
  },
  {
    title: '10 `run --rm` at once',
    target: 0.3,
    rounds: 4,
    run: async (docker) => {
      await Promise.all(Array.from({ length: 10 }, () => must(docker(['run', '--rm', 'busybox', 'true']))));
    },
  },
  {
    title: 'stdout to json-file, 20 MB of 100-byte lines',
    target: 0.25,
    rounds: 3,
    run: (docker) =>
      must(
        docker([
          'run',
          '--rm',
          '-d',
          '--name',
          'bench-log',
          'busybox',
          'sh',
          '-c',
          'yes aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggghhhhhhhhhhiiiiiiiiiijjjjjjjjj | head -c 20000000',
        ]).then(async (started) => {
          await docker(['wait', 'bench-log']);
          return started;
        }),
      ),
  },
  {
    title: '`run --rm` with 100 published ports',
    target: 0.1,
    rounds: 2,
    run: (docker) =>
      must(docker(['run', '--rm', '-p', '9000-9099:9000-9099', 'busybox', 'true'], { timeoutMs: 120_000 })),
  },
  {
    title: `${amount}B from container to container`,
    target: 1,
    rounds: 5,
    prepare: prepareThroughput,
    run: async (docker, host) => {
      const address = await fieldOf(docker, '{{.NetworkSettings.IPAddress}}', 'bench-server');
      const client = await pidOf(docker, 'bench-client');
      await must(host.run('nsenter', ['-t', client, '-n', 'iperf3', '-c', address, '-p', iperfPort, '-n', amount]));
    },
    finish: finishThroughput,
  },
  {
    title: `${amount}B from the host through a published port`,
    target: 1,
    rounds: 5,
    prepare: prepareThroughput,
    run: (_docker, host) => must(host.run('iperf3', ['-c', '127.0.0.1', '-p', '9201', '-n', amount])),
    finish: finishThroughput,
  },
  pull('base', '`pull` of a base system, 210 MB in 6,700 files', 0.4),
  pull('small', '`pull` of 50,000 files of 4 KB', 0.2),
  pull('large', '`pull` of two files of 138 MB', 0.6),
  { title: '`ps -a`', target: 1, rounds: 15, run: (docker) => must(docker(['ps', '-a'])) },
];
