/** The rows of the ratio table: what both engines are asked to do. Targets are those of the design. */
import type { RunOptions, RunResult } from '../test/harness/sandbox-host.ts';

export type Docker = (args: readonly string[], options?: RunOptions) => Promise<RunResult>;

export interface Row {
  readonly title: string;
  readonly target: number;
  readonly rounds: number;
  /** Before the rounds. */
  readonly prepare?: (docker: Docker) => Promise<void>;
  readonly run: (docker: Docker) => Promise<void>;
  readonly finish?: (docker: Docker) => Promise<void>;
}

const must = async (result: Promise<RunResult>): Promise<void> => {
  const { code, stderr } = await result;
  if (code !== 0) throw new Error(`a measured command ended with ${code}: ${stderr}`);
};

const runTrue =
  (network: string): Row['run'] =>
  (docker) =>
    must(docker(['run', '--rm', '--network', network, 'busybox', 'true']));

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
  { title: '`ps -a`', target: 1, rounds: 15, run: (docker) => must(docker(['ps', '-a'])) },
];
