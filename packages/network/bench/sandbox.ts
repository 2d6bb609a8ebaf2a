/**
 * What a container's network costs: a sandbox without, with one and with a hundred published ports, one with a resolver, ports
 * of a sandbox that lives, and a network; made and removed, through boxship-networkd and in process. Prints medians; run by
 * `pnpm bench` as root. The host of the measurement is a namespace of its own.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomId } from '@boxship/base';
import { connectController, createController, type NetworkController } from '../src/index.ts';
import { enterNamespace } from '../src/testsuite/enter.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { TestHost } from '../src/testsuite/test-host.ts';

const rounds = Number(process.argv[2] ?? 60);

function report(name: string, times: number[]): void {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
  process.stdout.write(`${name.padEnd(44)} p25 ${at(0.25)} ms   median ${at(0.5)} ms   p90 ${at(0.9)} ms\n`);
}

async function timed(times: number[], work: () => Promise<unknown>): Promise<void> {
  const start = performance.now();
  await work();
  times.push(performance.now() - start);
}

/** Sandboxes of one kind, made and removed one after the other. */
async function measureSandboxes(
  name: string,
  controller: NetworkController,
  directory: string,
  { network, ports }: { network: string; ports: number },
): Promise<void> {
  const create: number[] = [];
  const remove: number[] = [];
  for (let round = -5; round < rounds; round++) {
    const id = randomId();
    const [made, removed]: [number[], number[]] = round < 0 ? [[], []] : [create, remove];
    await timed(made, () =>
      controller.createSandbox({
        id,
        containerName: `c${round}`,
        hostname: id.slice(0, 12),
        domainname: '',
        files: { hostsPath: join(directory, `hosts-${round}`), resolvConfPath: join(directory, `resolv-${round}`) },
        endpoints: [{ network }],
        ports: Array.from({ length: ports }, (_, index) => ({
          protocol: 'tcp',
          containerPort: 1000 + index,
          hostIp: '',
          hostPort: 20_000 + index,
        })),
      }),
    );
    await timed(removed, () => controller.removeSandbox(id));
    await sleep(20); // the kernel drops the links in the background
  }
  report(`${name}, made`, create);
  report('  removed', remove);
}

/** One and a hundred ports, published and taken back while their sandbox lives. */
async function measurePorts(controller: NetworkController): Promise<void> {
  const id = randomId();
  const names = { containerName: 'live', hostname: 'live', domainname: '' };
  await controller.createSandbox({ id, ...names, endpoints: [{ network: 'bridge' }] });
  for (const count of [1, 100]) {
    const ports = Array.from({ length: count }, (_, index) => ({
      ...({ protocol: 'tcp', containerPort: 1000 + index, hostIp: '', hostPort: 21_000 + index } as const),
    }));
    const both: number[] = [];
    for (let round = -5; round < rounds; round++)
      await timed(round < 0 ? [] : both, async () => {
        await controller.publish(id, ports);
        await controller.unpublish(id, ports);
      });
    report(`${count} ports published and taken back`, both);
  }
  await controller.removeSandbox(id);
}

async function measure(name: string, controller: NetworkController, directory: string): Promise<void> {
  await controller.createNetwork({ name: 'names', driver: 'bridge' });
  process.stdout.write(`${name}\n`);
  for (const ports of [0, 1, 100])
    await measureSandboxes(`sandbox with ${ports} ports`, controller, directory, { network: 'bridge', ports });
  await measureSandboxes('sandbox with a resolver', controller, directory, { network: 'names', ports: 0 });
  await measurePorts(controller);
  const [makeNetwork, dropNetwork]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds / 3; round++) {
    await timed(makeNetwork, () => controller.createNetwork({ name: `n${round}`, driver: 'bridge' }));
    await timed(dropNetwork, () => controller.removeNetwork(`n${round}`));
  }
  report('network, made', makeNetwork);
  report('  removed', dropNetwork);
  await controller.removeNetwork('names');
}

await using host = new TestHost();
{
  using networkd = new TestNetworkd(host, 'wire');
  networkd.start();
  await networkd.controller.listNetworks();
  await measure('boxship-networkd over ttrpc', networkd.controller, host.directory);
  using overGrpc = connectController(networkd.address);
  await measure('boxship-networkd over gRPC', overGrpc, host.directory);
  await networkd.kill('SIGTERM');
}
{
  using _away = enterNamespace(host.namespace);
  await using controller = await createController({
    stateDir: join(host.directory, 'state'),
    runDir: join(host.directory, 'run'),
    instanceId: 'bench',
  });
  await measure('in process', controller, host.directory);
  await sleep(700);
}
