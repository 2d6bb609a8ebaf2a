/**
 * The suite of the firewall contract, by packets alone: whatever rules a driver writes, these connections pass and those do
 * not. Run on every driver through a controller, because a firewall without networks has nothing to guard.
 */
import { poll } from '@boxship/base';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Sandbox } from '../controller.ts';
import { TestNetworkd } from './networkd.ts';
import { addressOf, refusal, Suite } from './suite.ts';
import { hostAddress, neighbourAddress, TestHost } from './test-host.ts';

const mode4 = 'com.docker.network.bridge.gateway_mode_ipv4';
const mode6 = 'com.docker.network.bridge.gateway_mode_ipv6';

export function firewallSuite(name: string, flags: readonly string[]): void {
  describe(`firewall: ${name}`, () => {
    const suite = new Suite();
    let host: TestHost;
    let networkd: TestNetworkd;
    beforeAll(() => {
      host = new TestHost();
      networkd = new TestNetworkd(host, 'suite', flags);
      networkd.start();
      suite.target = {
        host,
        controller: networkd.controller,
        runDirectory: networkd.runDirectory,
        close: async () => {},
      };
    });
    afterAll(async () => {
      await networkd.kill('SIGTERM');
      networkd[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
    });
    afterEach(async () => {
      for (const { id } of await suite.controller.listSandboxes()) await suite.controller.removeSandbox(id);
      for (const { id, spec } of await suite.controller.listNetworks())
        if (!['bridge', 'host', 'none'].includes(spec.name)) await suite.controller.removeNetwork(id);
    });

    const web = async (network: string, hostPort: number, hostIp = ''): Promise<Sandbox> => {
      const ports = [{ protocol: 'tcp', containerPort: 80, hostIp, hostPort }] as const;
      const sandbox = await suite.sandbox(`web-${hostPort}`, { endpoints: [{ network }], ports });
      for (const port of [80, 81]) host.serve(sandbox.namespacePath, port);
      return sandbox;
    };
    /** What a server answers; a loaded machine may need a second try. */
    const answer = (from: string, address: string, port: number): Promise<string | undefined> =>
      poll({ everyMs: 50, timeoutMs: 5000 }, () => host.ask(from, address, port));
    /** None of these connections is answered; asked at once, because each waits a second for nothing. */
    const unanswered = async (...asked: readonly (readonly [from: string, address: string, port: number])[]) => {
      const answers = await Promise.all(asked.map(([from, address, port]) => host.ask(from, address, port)));
      expect(answers).toEqual(asked.map(() => undefined));
    };
    const toNeighbour = async (of: Sandbox): Promise<void> => {
      await host.run(host.neighbour, 'ip', 'route', 'replace', `${addressOf(of)}/32`, 'via', hostAddress);
    };

    test('published ports are reached from everywhere, by every packet path', async () => {
      const a = await web('bridge', 8080);
      await suite.controller.createNetwork({ name: 'other', driver: 'bridge' });
      const b = await suite.sandbox('b', { endpoints: [{ network: 'other' }] });
      const sibling = await suite.sandbox('sibling');
      expect(await answer(host.neighbour, hostAddress, 8080)).toBe(`from ${neighbourAddress}`);
      expect(await answer(host.namespace, '127.0.0.1', 8080)).toBe('from 172.17.0.1');
      expect(await answer(host.namespace, '::1', 8080)).toMatch(/^from /);
      expect(await answer(host.namespace, hostAddress, 8080)).toMatch(/^from /);
      for (const from of [a, b, sibling]) expect(await answer(from.namespacePath, hostAddress, 8080)).toMatch(/^from /);
      expect(await host.canPing(a.namespacePath, neighbourAddress)).toBe(true);
      expect(await answer(sibling.namespacePath, addressOf(a), 81)).toMatch(/^from /);
    });

    test('networks and the world stay apart', async () => {
      await suite.controller.createNetwork({ name: 'n1', driver: 'bridge' });
      await suite.controller.createNetwork({ name: 'inner', driver: 'bridge', isInternal: true });
      const [a, b, c] = [
        await web('bridge', 8080),
        await web('n1', 8081),
        await suite.sandbox('c', { endpoints: [{ network: 'inner' }] }),
      ];
      host.serve(c.namespacePath, 80);
      await host.run(c.namespacePath, 'ip', 'route', 'add', 'default', 'dev', 'eth0');
      host.serve(host.neighbour, 7003);
      await toNeighbour(c);
      await unanswered(
        [b.namespacePath, addressOf(a), 80],
        [b.namespacePath, addressOf(a), 81],
        [c.namespacePath, neighbourAddress, 7003],
        [a.namespacePath, addressOf(c), 80],
        [host.neighbour, addressOf(c), 80],
      );
    });

    test('a neighbour reaches no container by its address, published or not, and no port of loopback', async () => {
      const [a, quiet] = [await web('bridge', 8080), await web('bridge', 8081, '127.0.0.1')];
      for (const of of [a, quiet]) await toNeighbour(of);
      // with the host's FORWARD open, as on a router
      await host.run(host.namespace, 'iptables', '-P', 'FORWARD', 'ACCEPT');
      await unanswered(
        [host.neighbour, addressOf(a), 80],
        [host.neighbour, addressOf(a), 81],
        [host.neighbour, addressOf(quiet), 80],
        [host.neighbour, hostAddress, 8081],
      );
      expect(await answer(host.namespace, '127.0.0.1', 8081)).toMatch(/^from /);
    });

    test('a neighbour that takes the address of a container, or of loopback, is not heard', async () => {
      const a = await web('bridge', 8080);
      const other = await suite.sandbox('other');
      const lan = ['dev', 'lan0'];
      await host.run(host.neighbour, 'ip', 'addr', 'add', `${addressOf(other)}/32`, ...lan);
      const spoofed = `TCP:${hostAddress}:8080,bind=${addressOf(other)},connect-timeout=1`;
      await expect(host.run(host.neighbour, 'socat', '-T1', '-', spoofed)).rejects.toThrow('timed out');
      const flows = await host.run(host.namespace, 'conntrack', '-L', '--orig-src', addressOf(other));
      expect(flows).not.toContain(`dst=${hostAddress}`);
      await host.run(host.neighbour, 'ip', 'addr', 'del', `${addressOf(other)}/32`, ...lan);
      expect(await answer(host.neighbour, hostAddress, 8080)).toMatch(/^from /);
      expect(a.ports).toHaveLength(2);
    });

    test("gateway mode routed: published ports at the container's own address, nothing else, no translation", async () => {
      await suite.controller.createNetwork({ name: 'routed', driver: 'bridge', options: { [mode4]: 'routed' } });
      const a = await web('routed', 8080);
      const stranger = await suite.sandbox('stranger');
      expect(a.ports.map(({ hostPort }) => hostPort)).not.toContain(8080);
      await toNeighbour(a);
      expect(await answer(host.neighbour, addressOf(a), 80)).toBe(`from ${neighbourAddress}`);
      expect(await host.canPing(host.neighbour, addressOf(a))).toBe(true);
      expect(await answer(stranger.namespacePath, addressOf(a), 80)).toMatch(/^from /);
      await unanswered(
        [host.neighbour, addressOf(a), 81],
        [host.neighbour, hostAddress, 8080],
        [stranger.namespacePath, addressOf(a), 81],
      );
      // seen with its own address
      host.serve(host.neighbour, 7000);
      expect(await answer(a.namespacePath, neighbourAddress, 7000)).toBe(`from ${addressOf(a)}`);
      // the number is not taken
      await web('bridge', 8080);
    });

    test("gateway mode nat-unprotected: every port at the container's own address too", async () => {
      await suite.controller.createNetwork({ name: 'open', driver: 'bridge', options: { [mode4]: 'nat-unprotected' } });
      const a = await web('open', 8080);
      const stranger = await suite.sandbox('stranger');
      await toNeighbour(a);
      expect(await answer(host.neighbour, addressOf(a), 81)).toBe(`from ${neighbourAddress}`);
      expect(await answer(host.neighbour, hostAddress, 8080)).toBe(`from ${neighbourAddress}`);
      expect(await host.ask(stranger.namespacePath, addressOf(a), 81)).toBeUndefined();
    });

    test('gateway mode isolated: an internal network without the host', async () => {
      const options = { [mode4]: 'isolated' };
      expect(await refusal(suite.controller.createNetwork({ name: 'x', driver: 'bridge', options }))).toMatchObject({
        kind: 'invalidArgument',
        message: "gateway mode 'isolated' can only be used for an internal network",
      });
      expect(
        await refusal(suite.controller.createNetwork({ name: 'x', driver: 'bridge', options: { [mode6]: 'open' } })),
      ).toMatchObject({ kind: 'invalidArgument', message: 'unknown gateway mode open' });
      const network = await suite.controller.createNetwork({
        name: 'alone',
        driver: 'bridge',
        isInternal: true,
        options,
      });
      const [a, b] = [
        await suite.sandbox('a', { endpoints: [{ network: 'alone' }] }),
        await suite.sandbox('b', { endpoints: [{ network: 'alone' }] }),
      ];
      expect(await host.canPing(a.namespacePath, addressOf(b))).toBe(true);
      expect(await host.canPing(a.namespacePath, network.spec.pools[0]?.gateway ?? '')).toBe(false);
      expect(await host.run(host.namespace, 'ip', '-br', '-4', 'addr')).not.toContain(network.spec.pools[0]?.gateway);
    });

    test('options of the bridge: trusted interfaces, source address, no masquerade', async () => {
      const key = (name: string): string => `com.docker.network.bridge.${name}`;
      await host.run(host.namespace, 'ip', 'addr', 'replace', '10.99.0.7/32', 'dev', 'up0');
      await suite.controller.createNetwork({
        name: 'special',
        driver: 'bridge',
        options: { [key('trusted_host_interfaces')]: 'up0', 'com.docker.network.host_ipv4': '10.99.0.7' },
      });
      const a = await web('special', 8080);
      host.serve(host.neighbour, 7001);
      expect(await answer(a.namespacePath, neighbourAddress, 7001)).toBe('from 10.99.0.7');
      await toNeighbour(a);
      expect(await answer(host.neighbour, addressOf(a), 80)).toBe(`from ${neighbourAddress}`);
      expect(await host.ask(host.neighbour, addressOf(a), 81)).toBeUndefined();
      await suite.controller.createNetwork({
        name: 'plain',
        driver: 'bridge',
        options: { [key('enable_ip_masquerade')]: 'false' },
      });
      const b = await web('plain', 8081);
      await toNeighbour(b);
      expect(await answer(b.namespacePath, neighbourAddress, 7001)).toBe(`from ${addressOf(b)}`);
    });

    test('both families: published, translated, apart', async () => {
      await suite.controller.createNetwork({ name: 'six', driver: 'bridge', enableIPv6: true });
      const a = await web('six', 8086);
      await host.run(host.namespace, 'ip', 'addr', 'replace', '2001:db8::1/64', 'dev', 'up0', 'nodad');
      await host.run(host.neighbour, 'ip', 'addr', 'replace', '2001:db8::2/64', 'dev', 'lan0', 'nodad');
      // the address of the container is of use when the kernel has seen that it is nobody else's
      expect(await answer(host.neighbour, '2001:db8::1', 8086)).toBe('from 2001:db8::2');
      const address = a.endpoints[0]?.ipv6Address ?? '';
      await host.run(host.neighbour, 'ip', 'route', 'replace', `${address}/128`, 'via', '2001:db8::1');
      expect(await host.ask(host.neighbour, address, 80)).toBeUndefined();
      host.serve(host.neighbour, 7002);
      expect(await answer(a.namespacePath, '2001:db8::2', 7002)).toBe('from 2001:db8::1');
    });

    test('rules that another program takes away come back', async () => {
      // what it writes itself is not taken for the work of others, as it would be if it were spelled otherwise than read
      expect(networkd.log).not.toContain('by another program');
      await web('bridge', 8080);
      const server = {
        namespace: host.neighbour,
        address: hostAddress,
        port: 8080,
        answer: `from ${neighbourAddress}`,
      };
      for (const command of [
        'nft flush ruleset',
        'iptables -F; iptables -t nat -F',
        'iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X',
      ]) {
        await host.run(host.namespace, 'sh', '-c', command);
        const tookMs = await host.backAfter(server);
        console.log(`${command}: back after ${tookMs} ms`);
        expect(tookMs, command).toBeLessThanOrEqual(2000);
      }
    });
  });
}
