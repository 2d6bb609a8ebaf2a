/** What networks promise: names, pools, isolation, and that nothing of them stays. */
import { poll } from '@boxship/base';
import { expect, test } from 'vitest';
import { addressOf, refusal, type Suite } from './suite.ts';
import { neighbourAddress } from './test-host.ts';

export function networkTests(suite: Suite): void {
  test('has the predefined networks with the options Docker shows', async () => {
    const networks = await suite.controller.listNetworks();
    expect(networks.map(({ spec }) => [spec.name, spec.driver]).sort()).toEqual([
      ['bridge', 'bridge'],
      ['host', 'host'],
      ['none', 'null'],
    ]);
    const bridge = await suite.controller.network('bridge');
    expect(bridge.spec.options).toEqual({
      'com.docker.network.bridge.default_bridge': 'true',
      'com.docker.network.bridge.enable_icc': 'true',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
      'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
      'com.docker.network.bridge.name': 'boxship0',
      'com.docker.network.driver.mtu': '1500',
    });
    expect(bridge.spec.pools).toEqual([{ subnet: '172.17.0.0/16', gateway: '172.17.0.1', isChosen: true }]);
    expect(bridge.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
  });

  test('predefined networks can be neither removed nor made', async () => {
    expect(await refusal(suite.controller.removeNetwork('bridge'))).toMatchObject({
      kind: 'permissionDenied',
      message: 'bridge is a pre-defined network and cannot be removed',
    });
    expect(await refusal(suite.controller.createNetwork({ name: 'host', driver: 'bridge' }))).toMatchObject({
      kind: 'permissionDenied',
      message: 'operation is not permitted on predefined host network',
    });
  });

  test('user networks: found by name, id and prefix, refused when in the way', async () => {
    const network = await suite.controller.createNetwork({
      name: 'mine',
      driver: suite.driver,
      labels: { a: 'b' },
      pools: [{ subnet: '10.30.0.0/24' }],
    });
    expect(network.spec).toMatchObject({
      labels: { a: 'b' },
      pools: [{ subnet: '10.30.0.0/24', gateway: '10.30.0.1' }],
    });
    for (const key of [network.id, 'mine', network.id.slice(0, 12)])
      expect(await suite.controller.network(key)).toEqual(network);
    expect(await refusal(suite.controller.network('nosuch'))).toMatchObject({
      kind: 'notFound',
      message: 'network nosuch not found',
    });
    expect(await refusal(suite.controller.createNetwork({ name: 'mine', driver: suite.driver }))).toMatchObject({
      kind: 'conflict',
      message: 'network with name mine already exists',
    });
    expect(
      await refusal(
        suite.controller.createNetwork({ name: 'other', driver: suite.driver, pools: [{ subnet: '10.30.0.128/25' }] }),
      ),
    ).toMatchObject({ message: 'Pool overlaps with other one on this address space' });
    expect(await refusal(suite.controller.createNetwork({ name: 'other', driver: 'nosuch' }))).toMatchObject({
      kind: 'notFound',
      message: 'plugin "nosuch" not found',
    });
    expect(
      (
        await refusal(
          suite.controller.createNetwork({
            name: 'x',
            driver: suite.driver,
            options: { 'com.docker.network.bridge.name': 'x;reboot' },
          }),
        )
      ).kind,
    ).toBe('invalidArgument');
    await suite.sandbox('in', { endpoints: [{ network: 'mine' }] });
    expect(await refusal(suite.controller.removeNetwork('mine'))).toMatchObject({
      message: `error while removing network: network mine id ${network.id} has active endpoints`,
    });
  });

  test('subnets chosen for networks avoid what the host reaches', async () => {
    const make = async (): Promise<string> => {
      const network = await suite.controller.createNetwork({ name: 'auto', driver: suite.driver });
      await suite.controller.removeNetwork('auto');
      return network.spec.pools[0]?.subnet ?? '';
    };
    const usual = await make();
    const half = usual.replace(/\d+$/, (length) => String(Number(length) + 1));
    await suite.host.run(suite.host.namespace, 'ip', 'route', 'add', half, 'via', neighbourAddress);
    const other = await make();
    expect(other.split('/')[1]).toBe(usual.split('/')[1]);
    expect(other).not.toBe(usual);
    await suite.host.run(suite.host.namespace, 'ip', 'route', 'del', half);
    expect(await make()).toBe(usual);
  });

  test('a full network says so', async () => {
    const { id } = await suite.controller.createNetwork({
      name: 'tiny',
      driver: suite.driver,
      pools: [{ subnet: '10.31.0.0/30' }],
    });
    await suite.sandbox('one', { endpoints: [{ network: 'tiny' }] });
    expect(await refusal(suite.sandbox('two', { endpoints: [{ network: 'tiny' }] }))).toMatchObject({
      message: `no available IPv4 addresses on this network's address pools: tiny (${id})`,
    });
  });

  test('networks are isolated from each other, internal ones from the world', async () => {
    await suite.controller.createNetwork({ name: 'n1', driver: suite.driver });
    await suite.controller.createNetwork({ name: 'n2', driver: suite.driver });
    await suite.controller.createNetwork({ name: 'inner', driver: suite.driver, isInternal: true });
    const a = await suite.sandbox('a', { endpoints: [{ network: 'n1' }] });
    const b = await suite.sandbox('b', { endpoints: [{ network: 'n2' }] });
    const c = await suite.sandbox('c', { endpoints: [{ network: 'inner' }] });
    const d = await suite.sandbox('d', { endpoints: [{ network: 'inner' }] });
    expect(await suite.host.canPing(a.namespacePath, neighbourAddress)).toBe(true);
    expect(await suite.host.canPing(a.namespacePath, addressOf(b))).toBe(false);
    expect(await suite.host.canPing(c.namespacePath, addressOf(d))).toBe(true);
    expect(await suite.host.canPing(c.namespacePath, neighbourAddress)).toBe(false);
    // not even with a route of its own
    await suite.host.run(c.namespacePath, 'ip', 'route', 'add', 'default', 'dev', 'eth0');
    expect(await suite.host.canPing(c.namespacePath, neighbourAddress)).toBe(false);
    expect(await suite.host.canPing(a.namespacePath, addressOf(c))).toBe(false);
  });

  test('without inter-container communication only the gateway is reached', async ({ skip }) => {
    if (suite.driver !== 'bridge') skip('an option of bridges');
    const options = { 'com.docker.network.bridge.enable_icc': 'false' };
    await suite.controller.createNetwork({ name: 'quiet', driver: suite.driver, options });
    const a = await suite.sandbox('a', { endpoints: [{ network: 'quiet' }] });
    const b = await suite.sandbox('b', { endpoints: [{ network: 'quiet' }] });
    expect(await suite.host.canPing(a.namespacePath, addressOf(b))).toBe(false);
    expect(await suite.host.canPing(a.namespacePath, a.endpoints[0]?.ipv4Gateway ?? '')).toBe(true);
    expect(await suite.host.canPing(a.namespacePath, neighbourAddress)).toBe(true);
  });

  test('a configuration network lends its settings', async () => {
    await suite.controller.createNetwork({
      name: 'settings',
      driver: suite.driver,
      isConfigOnly: true,
      pools: [{ subnet: '10.33.0.0/24' }],
      labels: { from: 'settings' },
    });
    const made = await suite.controller.createNetwork({ name: 'made', driver: suite.driver, configFrom: 'settings' });
    expect(made.spec).toMatchObject({
      pools: [{ subnet: '10.33.0.0/24', gateway: '10.33.0.1' }],
      labels: { from: 'settings' },
    });
    expect(await refusal(suite.controller.removeNetwork('settings'))).toMatchObject({
      message: 'error while removing network: configuration network "settings" is in use',
    });
    await suite.controller.removeNetwork('made');
    await suite.controller.removeNetwork('settings');
  });

  test('IPv6 networks: addresses, routes and ports of both families', async () => {
    const network = await suite.controller.createNetwork({ name: 'six', driver: suite.driver, enableIPv6: true });
    const pool = network.spec.pools.find(({ subnet }) => subnet?.includes(':') === true);
    expect(pool?.subnet).toMatch(/^fd[0-9a-f:]+::\/64$/);
    const a = await suite.sandbox('a', {
      endpoints: [{ network: 'six' }],
      ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8086 }],
    });
    const b = await suite.sandbox('b', { endpoints: [{ network: 'six' }] });
    const address = a.endpoints[0]?.ipv6Address ?? '';
    expect(address.startsWith(pool?.gateway?.slice(0, -1) ?? '?')).toBe(true);
    expect(await suite.host.canPing(b.namespacePath, address)).toBe(true);
    expect(await suite.host.run(a.namespacePath, 'ip', '-6', 'route', 'show', 'default')).toContain(
      `via ${pool?.gateway}`,
    );
    suite.host.serve(a.namespacePath, 80);
    expect(await suite.host.ask(suite.host.namespace, '::1', 8086)).toMatch(/^from fd/);
    expect(await suite.host.ask(b.namespacePath, pool?.gateway ?? '', 8086)).toMatch(/^from fd/);
  });

  test('each family goes out through the network that has it; the network of both goes first', async () => {
    await suite.controller.createNetwork({ name: 'four', driver: suite.driver });
    await suite.controller.createNetwork({ name: 'six', driver: suite.driver, enableIPv4: false, enableIPv6: true });
    const web = await suite.sandbox('web', {
      endpoints: [{ network: 'four' }, { network: 'six' }],
      ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8088 }],
    });
    const route = (family: string): Promise<string> =>
      suite.host.run(web.namespacePath, 'ip', family, 'route', 'show', 'default');
    expect(web.endpoints[1]).toMatchObject({ ipv4Address: '', ipv4Gateway: '', interfaceName: 'eth1' });
    expect(await route('-4')).toContain('dev eth0');
    expect(await route('-6')).toContain('dev eth1');
    suite.host.serve(web.namespacePath, 80);
    await expect
      .poll(() => suite.host.ask(suite.host.namespace, '127.0.0.1', 8088), { timeout: 5000 })
      .toBe(`from ${web.endpoints[0]?.ipv4Gateway}`);
    await expect
      .poll(() => suite.host.ask(suite.host.namespace, web.endpoints[1]?.ipv6Gateway ?? '', 8088), { timeout: 5000 })
      .toMatch(/^from fd/);
    const both = await suite.controller.createNetwork({ name: 'zeta', driver: suite.driver, enableIPv6: true });
    await suite.controller.connect(web.id, { network: both.id });
    for (const family of ['-4', '-6']) expect(await route(family)).toMatch(/^default via \S+ dev eth2/);
    await expect
      .poll(() => suite.host.ask(suite.host.namespace, '127.0.0.1', 8088), { timeout: 5000 })
      .toMatch(/^from /);
    await suite.controller.disconnect(web.id, 'zeta');
    expect(await route('-4')).toContain('dev eth0');
    expect(await route('-6')).toContain('dev eth1');
    await suite.controller.connect(web.id, { network: 'zeta', gatewayPriority: -1 });
    expect(await route('-4')).toContain('dev eth0');
    await expect
      .poll(() => suite.host.ask(suite.host.namespace, '127.0.0.1', 8088), { timeout: 5000 })
      .toBe(`from ${web.endpoints[0]?.ipv4Gateway}`);
  });

  test('static IPv6 addresses and a subnet of each family', async () => {
    const pools = [{ subnet: '10.34.0.0/24' }, { subnet: 'fd34::/64', gateway: 'fd34::ff' }];
    const network = await suite.controller.createNetwork({
      name: 'dual',
      driver: suite.driver,
      enableIPv6: true,
      pools,
    });
    expect(network.spec.pools).toEqual([
      { subnet: '10.34.0.0/24', gateway: '10.34.0.1' },
      { subnet: 'fd34::/64', gateway: 'fd34::ff' },
    ]);
    const linkLocalAddresses = ['169.254.7.7', 'fe80::7'];
    const endpoint = { network: 'dual', ipv4Address: '10.34.0.9', ipv6Address: 'FD34:0::9', linkLocalAddresses };
    const web = await suite.sandbox('web', { endpoints: [endpoint] });
    expect(web.endpoints[0]).toMatchObject({
      ipv4Address: '10.34.0.9',
      ipv6Address: 'fd34::9',
      ipv6PrefixLength: 64,
      ipv6Gateway: 'fd34::ff',
    });
    expect(await suite.host.canPing(suite.host.namespace, 'fd34::9')).toBe(true);
    const addresses = await suite.host.run(web.namespacePath, 'ip', '-br', 'addr', 'show', 'eth0');
    for (const text of ['169.254.7.7/16', 'fe80::7/64']) expect(addresses).toContain(text);
    const taken = { network: 'dual', ipv6Address: 'fd34::9' };
    expect((await refusal(suite.sandbox('late', { endpoints: [taken] }))).message).toBe('Address already in use');
    await suite.controller.createNetwork({ name: 'auto', driver: suite.driver });
    const unsure = { network: 'auto', ipv4Address: '172.19.0.9' };
    expect((await refusal(suite.sandbox('unsure', { endpoints: [unsure] }))).message).toBe(
      'user specified IP address is supported only when connecting to networks with user configured subnets',
    );
    const off = { network: 'dual', ipv6Address: 'fd35::9' };
    expect((await refusal(suite.sandbox('off', { endpoints: [off] }))).kind).toBe('invalidArgument');
    const ports = [{ protocol: 'tcp', containerPort: 80, hostIp: '::1', hostPort: 8089 }] as const;
    const local = await suite.sandbox('local', { endpoints: [{ network: 'dual' }], ports });
    suite.host.serve(local.namespacePath, 80);
    await expect
      .poll(() => suite.host.ask(suite.host.namespace, '::1', 8089), { timeout: 5000 })
      .toMatch(/^from fd34::/);
    expect(await suite.host.ask(suite.host.namespace, '127.0.0.1', 8089)).toBeUndefined();
  });

  test('nothing is left after everything was removed', async () => {
    const network = await suite.controller.createNetwork({ name: 'gone', driver: suite.driver });
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        suite.sandbox(`c${index}`, {
          endpoints: [{ network: 'bridge' }, { network: 'gone' }],
          ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 }],
        }),
      ),
    );
    await Promise.all(made.map(({ id }) => suite.controller.removeSandbox(id)));
    await suite.controller.removeNetwork(network.id);
    await poll(
      { everyMs: 20, timeoutMs: 3000 },
      () => suite.host.census([suite.runDirectory]).length === 2 || undefined,
    );
    expect(suite.host.census([suite.runDirectory])).toEqual([
      expect.stringMatching(/^link boxship0 /),
      expect.stringMatching(/^table boxship-/),
    ]);
    const rules = await suite.host.run(suite.host.namespace, 'nft', 'list', 'ruleset');
    expect(rules).not.toContain('tcp . ');
  });
}
