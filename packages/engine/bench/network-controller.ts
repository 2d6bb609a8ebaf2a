/** What a network controller is asked for, wherever it is, and what puts it back. */
import { join } from 'node:path';
import { randomId } from '@boxship/base';
import type { NetworkController, PortRequest } from '@boxship/network';
import { quantile } from './measure.ts';

const rounds = 60;
const warmUps = 10;

const publishedPorts = (count: number, first: number): PortRequest[] =>
  Array.from({ length: count }, (_, index) => ({
    ...({ protocol: 'tcp', containerPort: 1000 + index, hostIp: '', hostPort: first + index } as const),
  }));

/** The aim is in milliseconds. */
interface Measurement {
  readonly title: string;
  readonly aimMs: number;
  run(controller: NetworkController, id: string): Promise<unknown>;
  after?(controller: NetworkController, id: string): Promise<unknown>;
}

function measurements(how: string, directory: string, living: string): Measurement[] {
  const made = (count: number, aimMs: number): Measurement => ({
    title: `sandbox with ${count === 1 ? 'one port' : `${count} ports`}, made ${how}`,
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
    title: `${count === 1 ? 'one published port' : `${count} published ports`} of a running container, added and removed ${how}`,
    aimMs,
    run: async (controller) => {
      const ports = publishedPorts(count, 21_000);
      await controller.publish(living, ports);
      await controller.unpublish(living, ports);
    },
  });
  return [made(1, 5), made(100, 50), published(1, 1), published(100, 50)];
}

export const controllerTitles = (how: string): string[] => measurements(how, '', '').map(({ title }) => title);

/**
 * Lines of a table with the columns of the others.
 * @param options.how where the controller is, in words
 * @param options.wanted words of the titles to be measured
 */
export async function* controllerRows(
  controller: NetworkController,
  { directory, how, wanted }: { directory: string; how: string; wanted: string },
): AsyncGenerator<string> {
  const living = randomId();
  const chosen = measurements(how, directory, living).filter(({ title }) => title.includes(wanted));
  if (chosen.length === 0) return;
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
