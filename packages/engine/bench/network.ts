/**
 * What a network costs: published ports that come and go, beside dockerd where it can be asked for them alone (a container leaves a
 * network and joins it again, by the docker CLI), and what networkd itself needs for what only it can be asked.
 */
import { join } from 'node:path';
import { randomId } from '@boxship/base';
import { connectController, type NetworkController, type PortRequest } from '@boxship/network';
import { quantile } from './measure.ts';
import type { Docker, Row } from './rows.ts';

const rounds = 60;
const warmUps = 10;

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

const publishedPorts = (count: number, first: number): PortRequest[] =>
  Array.from({ length: count }, (_, index) => ({
    ...({ protocol: 'tcp', containerPort: 1000 + index, hostIp: '', hostPort: first + index } as const),
  }));

/** One thing that networkd is asked for, and what puts it back; the aim is in milliseconds. */
interface Measurement {
  readonly title: string;
  readonly aimMs: number;
  run(controller: NetworkController, id: string): Promise<unknown>;
  after?(controller: NetworkController, id: string): Promise<unknown>;
}

function measurements(directory: string, living: string): Measurement[] {
  const made = (count: number, aimMs: number): Measurement => ({
    title: `sandbox with ${count === 1 ? 'one port' : `${count} ports`}, made by networkd`,
    aimMs,
    run: (controller, id) =>
      controller.createSandbox({
        ...{ id, containerName: id.slice(0, 12), hostname: id.slice(0, 12), domainname: '' },
        files: { hostsPath: join(directory, `${id}-hosts`), resolvConfPath: join(directory, `${id}-resolv.conf`) },
        endpoints: [{ network: 'bridge' }],
        ports: publishedPorts(count, 20_000),
      }),
    after: (controller, id) => controller.removeSandbox(id),
  });
  const published = (count: number, aimMs: number): Measurement => ({
    title: `${count === 1 ? 'one published port' : `${count} published ports`} of a running container, added and removed by networkd`,
    aimMs,
    run: async (controller) => {
      const ports = publishedPorts(count, 21_000);
      await controller.publish(living, ports);
      await controller.unpublish(living, ports);
    },
  });
  return [made(1, 5), made(100, 50), published(1, 1), published(100, 50)];
}

/**
 * Lines of a table with the columns of the others.
 * @param address socket of the engine's networkd
 * @param wanted words of the titles to be measured
 */
export async function* networkRows(address: string, directory: string, wanted: string): AsyncGenerator<string> {
  const living = randomId();
  const chosen = measurements(directory, living).filter(({ title }) => title.includes(wanted));
  if (chosen.length === 0) return;
  using controller = connectController(address);
  const names = { containerName: 'bench-living', hostname: 'bench-living', domainname: '' };
  await controller.createSandbox({ id: living, ...names, endpoints: [{ network: 'bridge' }] });
  for (const { title, aimMs, run, after } of chosen) {
    const times: number[] = [];
    for (let round = -warmUps; round < rounds; round++) {
      const id = randomId();
      const start = performance.now();
      await run(controller, id);
      if (round >= 0) times.push(performance.now() - start);
      await after?.(controller, id);
    }
    times.sort((a, b) => a - b);
    const text = [0.25, 0.5].map((q) => quantile(times, q).toFixed(1)).join(' / ');
    yield `| ${title} | – | ${text} | **${(quantile(times, 0.5) / aimMs).toFixed(2)}** of the aim | ≤ ${aimMs} ms |`;
  }
  await controller.removeSandbox(living);
}
