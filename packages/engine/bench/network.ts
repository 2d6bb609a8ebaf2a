/**
 * What a network costs: published ports that come and go, beside dockerd where it can be asked for them alone (a container leaves a
 * network and joins it again, by the docker CLI), and what only the controller can be asked: in a process that uses it as a
 * library, and through the two wires of networkd.
 */
import { fileURLToPath } from 'node:url';
import { connectController, ttrpcAddress } from '@boxship/network';
import type { SandboxHost } from '../test/harness/sandbox-host.ts';
import { controllerRows, controllerTitles } from './network-controller.ts';
import type { Docker, Row } from './rows.ts';

const must = async (docker: Docker, ...args: readonly string[]): Promise<void> => {
  const { code, stderr } = await docker(args, { timeoutMs: 120_000 });
  if (code !== 0) throw new Error(`docker ${args[0]} ended with ${code}: ${stderr}`);
};

const rejoin = (count: number, target: number): Row => {
  const name = `bench-ports${count}`;
  const ports = count === 1 ? '8097:80' : `9300-${9300 + count - 1}:1000-${1000 + count - 1}`;
  return {
    title: `a container with ${count === 1 ? 'one published port' : `${count} published ports`} leaves its network and joins it again`,
    target,
    rounds: count === 1 ? 10 : 2,
    warmUps: 1,
    prepare: async (docker) => {
      await must(docker, 'network', 'create', name);
      await must(docker, 'run', '-d', '--name', name, '--network', name, '-p', ports, 'busybox', 'sleep', '100000');
    },
    run: async (docker) => {
      await must(docker, 'network', 'disconnect', name, name);
      await must(docker, 'network', 'connect', name, name);
    },
    finish: async (docker) => {
      await must(docker, 'rm', '-f', name);
      await must(docker, 'network', 'rm', name);
    },
  };
};

export const portRows: readonly Row[] = [rejoin(1, 0.28), rejoin(100, 0.1)];

const library = 'as a library';

/**
 * Lines of a table with the columns of the others.
 * @param address socket of the engine's networkd
 * @param host for the library, whose process nobody shares
 * @param wanted words of the titles to be measured
 */
export async function* networkRows(
  { address, directory, host }: { address: string; directory: string; host: SandboxHost },
  wanted: string,
): AsyncGenerator<string> {
  if (controllerTitles(library).some((title) => title.includes(wanted))) {
    const program = fileURLToPath(new URL('./bench-network.cjs', import.meta.url));
    const args = ['--no-warnings', program, host.path('network'), library, wanted];
    const text = await host.must(process.execPath, args, { timeoutMs: 120_000 });
    yield* Buffer.from(text, 'latin1').toString().trim().split('\n');
  }
  for (const [how, path] of [
    ['by networkd over ttrpc', ttrpcAddress(address)],
    ['by networkd over gRPC', address],
  ] as const) {
    using controller = connectController(path);
    yield* controllerRows(controller, { directory, how, wanted });
  }
}
