/**
 * What a container's network costs: a sandbox on the default bridge with one published port, made and removed, in process and
 * through boxship-networkd, and a network. Prints medians; run by `pnpm bench` as root. The host of the measurement is a
 * namespace of its own.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomId } from '@boxship/base';
import { createController, type NetworkController } from '../src/index.ts';
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

async function measure(name: string, controller: NetworkController, directory: string): Promise<void> {
  const [create, remove, makeNetwork, dropNetwork]: number[][] = [[], [], [], []];
  for (let round = 0; round < rounds; round++) {
    const id = randomId();
    await timed(create ?? [], () =>
      controller.createSandbox({
        id,
        containerName: `c${round}`,
        hostname: id.slice(0, 12),
        domainname: '',
        files: { hostsPath: join(directory, `hosts-${round}`), resolvConfPath: join(directory, `resolv-${round}`) },
        endpoints: [{ network: 'bridge' }],
        ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 20_000 + round }],
      }),
    );
    await timed(remove ?? [], () => controller.removeSandbox(id));
    await sleep(20); // the kernel drops the links in the background
  }
  for (let round = 0; round < rounds / 3; round++) {
    await timed(makeNetwork ?? [], () => controller.createNetwork({ name: `n${round}`, driver: 'bridge' }));
    await timed(dropNetwork ?? [], () => controller.removeNetwork(`n${round}`));
  }
  report(`${name}: sandbox with one port, made`, create?.slice(5) ?? []);
  report(`${name}: the same, removed`, remove?.slice(5) ?? []);
  report(`${name}: network, made`, makeNetwork ?? []);
  report(`${name}: network, removed`, dropNetwork ?? []);
}

await using host = new TestHost();
{
  using networkd = new TestNetworkd(host, 'wire');
  networkd.start();
  await networkd.controller.listNetworks();
  await measure('boxship-networkd', networkd.controller, host.directory);
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
