/** Our command in the place of netavark, called as podman calls it: the answer, and what the kernel has. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createNetworkNamespace, removeNetworkNamespace } from '@boxship/linux';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

const program = fileURLToPath(new URL('../src/netavark/main.ts', import.meta.url));
let host: TestHost;
let networkd: TestNetworkd;
beforeAll(() => {
  host = new TestHost();
  networkd = new TestNetworkd(host, 'one');
  networkd.start();
});
afterAll(async () => {
  networkd[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

function netavark(args: readonly string[], input: object = {}): Promise<{ code: number; output: string }> {
  const settings = ['--config', '/run/x', '--rootless=false', '--aardvark-binary', '/usr/lib/podman/aardvark-dns'];
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--conditions=@boxship/source', '--no-warnings', program, ...settings, ...args],
      { env: { BOXSHIP_NETWORK_SOCKET: networkd.address }, timeout: 20_000 },
      (error, stdout) => resolve({ code: error === null ? 0 : Number(error.code), output: stdout.trim() }),
    );
    child.stdin?.on('error', () => {}); // `version` reads nothing
    child.stdin?.end(JSON.stringify(input));
  });
}

const request = (id: string, address: string, ports: readonly object[] = []) => ({
  container_id: id,
  container_name: `name-${id}`,
  port_mappings: ports,
  networks: { podman1: { static_ips: [address], aliases: [`alias-${id}`], interface_name: 'eth0' } },
  network_info: {
    podman1: {
      ...{ name: 'podman1', id: 'f'.repeat(64), driver: 'bridge', network_interface: 'podman1' },
      ...{ internal: false, ipv6_enabled: false, dns_enabled: true, ipam_options: { driver: 'host-local' } },
      subnets: [{ subnet: '10.89.0.0/24', gateway: '10.89.0.1' }],
      options: { mtu: '1400' },
    },
  },
});

test('setup and teardown: addresses that podman chose, names, ports; the network goes with its last container', async () => {
  const [a, b] = ['a', 'b'].map((name) => join(host.directory, `${name}.ns`)) as [string, string];
  for (const path of [a, b]) createNetworkNamespace(path, () => {});
  const ports = [{ host_ip: '', container_port: 80, host_port: 8080, range: 2, protocol: 'tcp' }];
  const first = request('a', '10.89.0.7', ports);
  const { code, output } = await netavark(['setup', a], first);
  expect([code, JSON.parse(output)]).toEqual([
    0,
    {
      podman1: {
        dns_search_domains: ['dns.podman'],
        dns_server_ips: ['127.0.0.11'],
        interfaces: {
          eth0: {
            mac_address: '02:42:0a:59:00:07',
            subnets: [{ gateway: '10.89.0.1', ipnet: '10.89.0.7/24' }],
          },
        },
      },
    },
  ]);
  expect((await netavark(['setup', b], request('b', '10.89.0.8'))).code).toBe(0);
  expect(await host.run(a, 'ip', 'link', 'show', 'eth0')).toContain('mtu 1400');
  expect(await host.run(host.namespace, 'ip', '-br', 'address', 'show', 'podman1')).toContain('10.89.0.1/24');
  host.serve(a, 80);
  host.serve(a, 81);
  for (const port of [8080, 8081])
    expect(await host.ask(host.neighbour, hostAddress, port)).toBe(`from ${neighbourAddress}`);
  expect(await host.ask(b, '10.89.0.7', 80)).toBe('from 10.89.0.8');
  for (const name of ['name-a', 'alias-a', 'name-a.dns.podman', 'alias-a.dns.podman'])
    expect(await host.run(b, 'dig', '+short', '@127.0.0.11', name)).toBe('10.89.0.7');

  const taken = await netavark(['setup', b], request('c', '10.89.0.8'));
  expect([taken.code, JSON.parse(taken.output)]).toEqual([1, { error: 'Address already in use' }]);

  for (const [path, body] of [
    [a, first],
    [b, request('b', '10.89.0.8')],
    [b, request('b', '10.89.0.8')],
  ] as const)
    expect(await netavark(['teardown', path], body)).toEqual({ code: 0, output: '' });
  expect(await host.run(host.namespace, 'ip', '-br', 'link')).not.toContain('podman1');
  expect(await host.run(a, 'ip', '-br', 'link')).not.toContain('eth0');
  for (const path of [a, b]) removeNetworkNamespace(path);
  expect(JSON.parse((await netavark(['version'])).output)).toMatchObject({ version: '1.4.0' });
  expect((await netavark(['update', a])).code).toBe(1);
});
