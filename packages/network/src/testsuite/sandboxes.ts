/** What sandboxes promise: interfaces, addresses, files, life cycle. */
import { readFileSync, statSync } from 'node:fs';
import { randomId } from '@boxship/base';
import { expect, test } from 'vitest';
import { addressOf, hostsOf, refusal, type Suite } from './suite.ts';
import { hostAddress, neighbourAddress } from './test-host.ts';

export function sandboxTests(suite: Suite): void {
  test('a sandbox on the default bridge reaches its gateway, its neighbours and the world', async () => {
    const a = await suite.sandbox('a');
    const b = await suite.sandbox('b');
    expect(a.endpoints[0]).toMatchObject({ interfaceName: 'eth0', ipv4PrefixLength: 16, ipv4Gateway: '172.17.0.1' });
    expect(a.endpoints[0]?.macAddress).toBe(
      `02:42:${addressOf(a)
        .split('.')
        .map((part) => Number(part).toString(16).padStart(2, '0'))
        .join(':')}`,
    );
    expect(await suite.host.run(a.namespacePath, 'ip', '-br', 'addr', 'show', 'eth0')).toContain(`${addressOf(a)}/16`);
    expect(await suite.host.run(a.namespacePath, 'ip', 'route')).toContain('default via 172.17.0.1 dev eth0');
    expect(await suite.host.canPing(a.namespacePath, '172.17.0.1')).toBe(true);
    expect(await suite.host.canPing(a.namespacePath, addressOf(b))).toBe(true);
    suite.host.serve(suite.host.neighbour, 9000);
    // the world sees the host's address
    expect(await suite.host.ask(a.namespacePath, neighbourAddress, 9000)).toBe(`from ${hostAddress}`);
    expect(readFileSync(a.spec.files?.resolvConfPath ?? '', 'utf8')).toMatch(/^nameserver \S+$/m);
    expect(hostsOf(a)).toBe(
      [
        '127.0.0.1\tlocalhost',
        '::1\tlocalhost ip6-localhost ip6-loopback',
        'fe00::0\tip6-localnet',
        'ff00::0\tip6-mcastprefix',
        'ff02::1\tip6-allnodes',
        'ff02::2\tip6-allrouters',
        `${addressOf(a)}\t${a.id.slice(0, 12)}`,
        '',
      ].join('\n'),
    );
    const [statistics] = await suite.controller.statistics(a.id);
    expect(statistics).toMatchObject({ interfaceName: 'eth0' });
    expect(statistics?.rxPackets).toBeGreaterThan(0);
  });

  test('none has loopback only, host is the namespace of the host', async () => {
    const none = await suite.sandbox('none', { endpoints: [{ network: 'none' }] });
    expect((await suite.host.run(none.namespacePath, 'ip', '-br', 'link')).split('\n')).toHaveLength(1);
    expect(await suite.host.canPing(none.namespacePath, '127.0.0.1')).toBe(true);
    expect(none.endpoints[0]).toMatchObject({ networkName: 'none', ipv4Address: '', interfaceName: '' });
    const shared = await suite.sandbox('shared', { endpoints: [{ network: 'host' }], useHostNamespace: true });
    expect(statSync(shared.namespacePath).ino).toBe(statSync(suite.host.namespace).ino);
    expect(await refusal(suite.controller.connect(shared.id, { network: 'bridge' }))).toMatchObject({
      kind: 'invalidArgument',
      message: 'container cannot be disconnected from host network or connected to host network',
    });
  });

  test('creating twice gives the same sandbox, removing twice succeeds', async () => {
    const id = randomId();
    const first = await suite.sandbox('web', { id });
    expect(await suite.sandbox('web', { id })).toEqual(first);
    expect(await suite.controller.sandbox(id)).toEqual(first);
    await suite.controller.removeSandbox(id);
    await suite.controller.removeSandbox(id);
    expect((await refusal(suite.controller.sandbox(id))).kind).toBe('notFound');
  });

  test('static addresses and MACs are kept, taken ones refused', async () => {
    await suite.controller.createNetwork({ name: 'mine', driver: suite.driver, pools: [{ subnet: '10.30.0.0/24' }] });
    const endpoint = { network: 'mine', ipv4Address: '10.30.0.77', macAddress: '02:00:00:00:00:77' };
    const fixed = await suite.sandbox('fixed', { endpoints: [endpoint] });
    expect(await suite.host.run(fixed.namespacePath, 'ip', '-br', 'link', 'show', 'eth0')).toContain(
      '02:00:00:00:00:77',
    );
    expect(await suite.host.canPing(suite.host.namespace, '10.30.0.77')).toBe(true);
    expect(await refusal(suite.sandbox('late', { endpoints: [endpoint] }))).toMatchObject({
      message: 'Address already in use',
    });
    expect(
      await refusal(suite.sandbox('out', { endpoints: [{ network: 'mine', ipv4Address: '10.31.0.1' }] })),
    ).toMatchObject({ kind: 'invalidArgument' });
    expect(
      await refusal(suite.sandbox('default', { endpoints: [{ network: 'bridge', ipv4Address: '172.17.0.9' }] })),
    ).toMatchObject({
      message: 'user specified IP address is supported on user defined networks only',
    });
  });

  test('an endpoint names its interface and sets parameters of it', async () => {
    const driverOptions = {
      'com.docker.network.endpoint.ifname': 'lan.7',
      'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.log_martians=1,net.ipv4.conf.IFNAME.rp_filter=2',
    };
    const web = await suite.sandbox('web', { endpoints: [{ network: 'bridge', driverOptions }] });
    expect(web.endpoints[0]?.interfaceName).toBe('lan.7');
    const read = (name: string): Promise<string> =>
      suite.host.run(web.namespacePath, 'cat', `/proc/sys/net/ipv4/conf/lan.7/${name}`);
    expect([await read('log_martians'), await read('rp_filter')]).toEqual(['1', '2']);
    const wrong = { 'com.docker.network.endpoint.sysctls': 'net.ipv4.conf.IFNAME.nosuch=1' };
    expect(
      await refusal(suite.sandbox('no', { endpoints: [{ network: 'bridge', driverOptions: wrong }] })),
    ).toMatchObject({
      kind: 'invalidArgument',
      message: 'sysctl net.ipv4.conf.eth0.nosuch does not exist on this host',
    });
  });

  test('links, extra hosts and names in /etc/hosts', async () => {
    const db = await suite.sandbox('db');
    const web = await suite.sandbox('web', {
      domainname: 'corp.example',
      endpoints: [{ network: 'bridge', links: ['db:postgres'] }],
      extraHosts: ['far:10.1.2.3', 'me:host-gateway'],
    });
    const short = web.id.slice(0, 12);
    expect(hostsOf(web)).toContain(
      `10.1.2.3\tfar\n172.17.0.1\tme\n${addressOf(db)}\tpostgres ${db.id.slice(0, 12)} db\n${addressOf(web)}\t${short}.corp.example ${short}\n`,
    );
    expect((await refusal(suite.sandbox('evil', { extraHosts: ['a\n1.2.3.4 bank:1.1.1.1'] }))).kind).toBe(
      'invalidArgument',
    );
  });

  test('DNS settings replace the file of the host', async () => {
    const web = await suite.sandbox('web', {
      dns: { servers: ['1.1.1.1'], search: ['corp.example'], options: ['ndots:2'] },
    });
    expect(readFileSync(web.spec.files?.resolvConfPath ?? '', 'utf8')).toBe(
      'search corp.example\nnameserver 1.1.1.1\noptions ndots:2\n',
    );
  });
}
