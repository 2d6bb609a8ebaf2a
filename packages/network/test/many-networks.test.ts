/** Two hundred networks: where Docker ends at thirty-one, all of them work, through a restart, and nothing of them stays. */
import { poll, randomId } from '@boxship/base';
import { expect, test } from 'vitest';
import type { Sandbox } from '../src/index.ts';
import { doOverlap, parsePrefix } from '../src/ipam/prefix.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

const count = 200;

test('two hundred networks', async () => {
  await using host = new TestHost();
  using networkd = new TestNetworkd(host, 'many');
  const { controller } = networkd;
  networkd.start();
  await host.run(host.namespace, 'ip', 'route', 'add', '172.20.0.0/15', 'via', neighbourAddress);
  await controller.listNetworks();
  for (let number = 0; number < count; number++)
    await controller.createNetwork({ name: `n${number}`, driver: 'bridge', enableIPv6: number % 10 === 0 });

  const networks = (await controller.listNetworks()).filter(({ spec }) => spec.driver === 'bridge');
  const prefixes = networks.flatMap(({ spec }) => spec.pools.map(({ subnet }) => parsePrefix(subnet ?? '')));
  expect(prefixes).toHaveLength(count + 1 + count / 10);
  const taken = parsePrefix('172.20.0.0/15');
  for (const [index, prefix] of prefixes.entries())
    for (const other of [...prefixes.slice(0, index), taken]) expect(doOverlap(prefix, other)).toBe(false);

  const join = (name: string, network: string): Promise<Sandbox> =>
    controller.createSandbox({
      id: randomId(),
      containerName: name,
      hostname: name,
      domainname: '',
      endpoints: [{ network }],
    });
  const sandboxes = await Promise.all([join('a', 'n0'), join('b', `n${count - 1}`), join('c', `n${count - 1}`)]);
  const [a, b, c] = sandboxes.map(({ namespacePath, endpoints }) => ({
    namespacePath,
    address: endpoints[0]?.ipv4Address ?? '',
  }));
  const works = async (): Promise<void> => {
    expect(await host.canPing(b?.namespacePath ?? '', c?.address ?? '')).toBe(true);
    expect(await host.canPing(b?.namespacePath ?? '', neighbourAddress)).toBe(true);
    expect(await host.canPing(a?.namespacePath ?? '', b?.address ?? '')).toBe(false);
  };
  await works();
  await networkd.kill();
  networkd.start();
  expect((await controller.listNetworks()).length).toBe(count + 3);
  await works();

  for (const { id } of sandboxes) await controller.removeSandbox(id);
  for (let number = 0; number < count; number++) await controller.removeNetwork(`n${number}`);
  const isClean = await poll(
    { everyMs: 50, timeoutMs: 5000 },
    () => host.census([networkd.runDirectory]).length === 2 || undefined,
  );
  expect(isClean, host.census([networkd.runDirectory]).join('\n')).toBe(true);
}, 60_000);
