/**
 * The suite of the network contract: one list of promises, kept by the controller in process and through the wire alike. It
 * reads the kernel back: packets, not rules.
 */
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { BoxshipError, poll, randomId } from '@boxship/base';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { NetworkController, Sandbox, SandboxSpec } from '../controller.ts';
import { hostAddress, neighbourAddress, type TestHost } from './test-host.ts';

export interface SuiteTarget {
  readonly host: TestHost;
  readonly controller: NetworkController;
  readonly runDirectory: string;
  readonly close: () => Promise<void>;
}

export function networkSuite(name: string, make: () => Promise<SuiteTarget>): void {
  describe(`network controller: ${name}`, () => {
    let target: SuiteTarget;
    let host: TestHost;
    let controller: NetworkController;

    beforeAll(async () => {
      target = await make();
      ({ host, controller } = target);
    });
    afterAll(async () => await target.close());
    afterEach(async () => {
      for (const { id } of await controller.listSandboxes()) await controller.removeSandbox(id);
      for (const { id, spec } of await controller.listNetworks())
        if (!['bridge', 'host', 'none'].includes(spec.name)) await controller.removeNetwork(id);
    });

    const sandbox = async (containerName: string, spec: Partial<SandboxSpec> = {}): Promise<Sandbox> => {
      const id = spec.id ?? randomId();
      const directory = join(host.directory, 'files', id);
      mkdirSync(directory, { recursive: true });
      return await controller.createSandbox({
        id,
        containerName,
        hostname: id.slice(0, 12),
        domainname: '',
        files: { hostsPath: join(directory, 'hosts'), resolvConfPath: join(directory, 'resolv.conf') },
        endpoints: [{ network: 'bridge' }],
        ...spec,
      });
    };
    const addressOf = (of: Sandbox, index = 0): string => of.endpoints[index]?.ipv4Address ?? '';
    const refusal = async (work: Promise<unknown>): Promise<BoxshipError> => {
      const error: unknown = await work.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(BoxshipError.is(error)).toBe(true);
      return error as BoxshipError;
    };
    const hostsOf = (of: Sandbox): string => readFileSync(of.spec.files?.hostsPath ?? '', 'utf8');

    test('has the predefined networks with the options Docker shows', async () => {
      const networks = await controller.listNetworks();
      expect(networks.map(({ spec }) => [spec.name, spec.driver]).sort()).toEqual([
        ['bridge', 'bridge'],
        ['host', 'host'],
        ['none', 'null'],
      ]);
      const bridge = await controller.network('bridge');
      expect(bridge.spec.options).toEqual({
        'com.docker.network.bridge.default_bridge': 'true',
        'com.docker.network.bridge.enable_icc': 'true',
        'com.docker.network.bridge.enable_ip_masquerade': 'true',
        'com.docker.network.bridge.host_binding_ipv4': '0.0.0.0',
        'com.docker.network.bridge.name': 'boxship0',
        'com.docker.network.driver.mtu': '1500',
      });
      expect(bridge.spec.pools).toEqual([{ subnet: '172.17.0.0/16', gateway: '172.17.0.1' }]);
      expect(bridge.created).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/);
    });

    test('predefined networks can be neither removed nor made', async () => {
      expect(await refusal(controller.removeNetwork('bridge'))).toMatchObject({
        kind: 'permissionDenied',
        message: 'bridge is a pre-defined network and cannot be removed',
      });
      expect(await refusal(controller.createNetwork({ name: 'host', driver: 'bridge' }))).toMatchObject({
        kind: 'permissionDenied',
        message: 'operation is not permitted on predefined host network',
      });
    });

    test('a sandbox on the default bridge reaches its gateway, its neighbours and the world', async () => {
      const a = await sandbox('a');
      const b = await sandbox('b');
      expect(a.endpoints[0]).toMatchObject({ interfaceName: 'eth0', ipv4PrefixLength: 16, ipv4Gateway: '172.17.0.1' });
      expect(a.endpoints[0]?.macAddress).toBe(
        `02:42:${addressOf(a)
          .split('.')
          .map((part) => Number(part).toString(16).padStart(2, '0'))
          .join(':')}`,
      );
      expect(await host.run(a.namespacePath, 'ip', '-br', 'addr', 'show', 'eth0')).toContain(`${addressOf(a)}/16`);
      expect(await host.run(a.namespacePath, 'ip', 'route')).toContain('default via 172.17.0.1 dev eth0');
      expect(await host.canPing(a.namespacePath, '172.17.0.1')).toBe(true);
      expect(await host.canPing(a.namespacePath, addressOf(b))).toBe(true);
      host.serve(host.neighbour, 9000);
      // the world sees the host's address
      expect(await host.ask(a.namespacePath, neighbourAddress, 9000)).toBe(`from ${hostAddress}`);
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
      const [statistics] = await controller.statistics(a.id);
      expect(statistics).toMatchObject({ interfaceName: 'eth0' });
      expect(statistics?.rxPackets).toBeGreaterThan(0);
    });

    test('a published port is reached from everywhere it should be', async () => {
      const ports = [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 }] as const;
      const web = await sandbox('web', { ports });
      const other = await sandbox('other');
      const network = await controller.createNetwork({ name: 'elsewhere', driver: 'bridge' });
      const stranger = await sandbox('stranger', { endpoints: [{ network: network.id }] });
      host.serve(web.namespacePath, 80);
      expect(web.ports).toEqual([
        { protocol: 'tcp', containerPort: 80, hostIp: '0.0.0.0', hostPort: 8080 },
        { protocol: 'tcp', containerPort: 80, hostIp: '::', hostPort: 8080 },
      ]);
      expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toBe('from 172.17.0.1');
      expect(await host.ask(host.namespace, '::1', 8080)).toBe('from 172.17.0.1');
      expect(await host.ask(host.namespace, hostAddress, 8080)).toMatch(/^from /);
      // the client's own address arrives
      expect(await host.ask(host.neighbour, hostAddress, 8080)).toBe(`from ${neighbourAddress}`);
      expect(await host.ask(other.namespacePath, '172.17.0.1', 8080)).toMatch(/^from /);
      expect(await host.ask(web.namespacePath, hostAddress, 8080)).toMatch(/^from /);
      expect(await host.ask(stranger.namespacePath, hostAddress, 8080)).toMatch(/^from /);
      // other networks reach the published port, not the container
      expect(await host.ask(stranger.namespacePath, addressOf(web), 80)).toBeUndefined();
      expect(await host.ask(host.neighbour, addressOf(web), 80)).toBeUndefined();
      await controller.removeSandbox(web.id);
      expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toBeUndefined();
      await sandbox('again', { ports });
    });

    test('a port published on loopback stays there', async () => {
      const web = await sandbox('web', {
        ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8081 }],
      });
      host.serve(web.namespacePath, 80);
      expect(await host.ask(host.namespace, '127.0.0.1', 8081)).toMatch(/^from /);
      expect(await host.ask(host.neighbour, hostAddress, 8081)).toBeUndefined();
      // a neighbour that sends frames for 127.0.0.1 to the host
      await host.run(host.neighbour, 'ip', 'route', 'del', 'local', '127.0.0.1', 'dev', 'lo', 'table', 'local');
      await host.run(host.neighbour, 'ip', 'route', 'del', 'local', '127.0.0.0/8', 'dev', 'lo', 'table', 'local');
      await host.run(host.neighbour, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/lan0/route_localnet');
      await host.run(host.neighbour, 'ip', 'route', 'add', '127.0.0.1/32', 'via', hostAddress, 'dev', 'lan0');
      expect(await host.ask(host.neighbour, '127.0.0.1', 8081)).toBeUndefined();
      await host.run(host.neighbour, 'ip', 'route', 'del', '127.0.0.1/32');
      await host.run(host.neighbour, 'ip', 'route', 'add', 'local', '127.0.0.0/8', 'dev', 'lo', 'table', 'local');
    });

    /** A UDP server in a sandbox that answers `NAME MESSAGE`. */
    const serveUdp = async (of: Sandbox, answer: string): Promise<void> => {
      const script = `const s=require('dgram').createSocket('udp4');s.on('message',(m,r)=>s.send('${answer} '+m,r.port,r.address));s.bind(5353,()=>console.log('ready'))`;
      const child = host.spawn(of.namespacePath, process.execPath, ['-e', script]);
      await new Promise((resolve) => child.stdout?.once('data', resolve));
    };
    const askUdp = (namespace: string, address: string, options = ''): Promise<string> =>
      host.run(namespace, 'sh', '-c', `printf x | socat -t 0.5 - UDP:${address}:5300${options}`);

    test('UDP is published too', async () => {
      const ports = [{ protocol: 'udp', containerPort: 5353, hostIp: '', hostPort: 5300 }] as const;
      await serveUdp(await sandbox('dns', { ports }), 'one');
      expect(await askUdp(host.namespace, '127.0.0.1')).toBe('one x');
      expect(await askUdp(host.namespace, '[::1]')).toBe('one x');
      expect(await askUdp(host.neighbour, hostAddress)).toBe('one x');
    });

    test('a UDP client that goes on sending reaches the next owner of the port', async () => {
      const ports = [{ protocol: 'udp', containerPort: 5353, hostIp: '', hostPort: 5300 }] as const;
      const first = await sandbox('first', { ports });
      await serveUdp(first, 'first');
      const ask = (): Promise<string> => askUdp(host.neighbour, hostAddress, ',sourceport=40000,reuseaddr');
      expect(await ask()).toBe('first x');
      await controller.removeSandbox(first.id);
      // into the void: the connection is tracked anew, untranslated
      await expect(ask()).rejects.toThrow('Connection refused');
      await serveUdp(await sandbox('second', { ports }), 'second');
      expect(await ask()).toBe('second x');
    });

    test('ports in use are refused in the words of Docker and leave nothing behind', async () => {
      await sandbox('first', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8082 }] });
      const taken = await refusal(
        sandbox('second', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8082 }] }),
      );
      expect(taken.kind).toBe('unknown');
      expect(taken.message).toMatch(
        /^driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): Bind for 127\.0\.0\.1:8082 failed: port is already allocated$/,
      );
      host.serve(host.namespace, 8099);
      const foreign = await refusal(
        sandbox('third', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8099 }] }),
      );
      expect(foreign.message).toMatch(/: listen tcp4 0\.0\.0\.0:8099: bind: address already in use$/);
      const remote = await refusal(
        sandbox('fourth', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '1.2.3.4', hostPort: 7777 }] }),
      );
      expect(remote.message).toMatch(/: listen tcp4 1\.2\.3\.4:7777: bind: cannot assign requested address$/);
      // half of a request that failed is free again
      const half = [
        { protocol: 'tcp', containerPort: 81, hostIp: '', hostPort: 8083 },
        { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8082 },
      ] as const;
      await refusal(sandbox('fifth', { ports: half }));
      await sandbox('sixth', { ports: [half[0]] });
      expect((await controller.listSandboxes()).map(({ spec }) => spec.containerName).sort()).toEqual([
        'first',
        'sixth',
      ]);
    });

    test('ports without a number and ranges are chosen', async () => {
      const request = { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 } as const;
      const [a, b] = await Promise.all([sandbox('a', { ports: [request] }), sandbox('b', { ports: [request] })]);
      const numbers = [a.ports[0]?.hostPort, b.ports[0]?.hostPort];
      expect(new Set(numbers).size).toBe(2);
      for (const number of numbers) expect(number).toBeGreaterThanOrEqual(32768);
      expect(a.ports[1]?.hostPort).toBe(a.ports[0]?.hostPort);
      const range = { ...request, hostPort: 9100, hostPortEnd: 9101 };
      const c = await sandbox('c', { ports: [range] });
      const d = await sandbox('d', { ports: [range] });
      expect([c.ports[0]?.hostPort, d.ports[0]?.hostPort]).toEqual([9100, 9101]);
      expect((await refusal(sandbox('e', { ports: [range] }))).message).toContain('port is already allocated');
    });

    test('none has loopback only, host is the namespace of the host', async () => {
      const none = await sandbox('none', { endpoints: [{ network: 'none' }] });
      expect((await host.run(none.namespacePath, 'ip', '-br', 'link')).split('\n')).toHaveLength(1);
      expect(await host.canPing(none.namespacePath, '127.0.0.1')).toBe(true);
      expect(none.endpoints[0]).toMatchObject({ networkName: 'none', ipv4Address: '', interfaceName: '' });
      const shared = await sandbox('shared', { endpoints: [{ network: 'host' }], useHostNamespace: true });
      expect(statSync(shared.namespacePath).ino).toBe(statSync(host.namespace).ino);
      expect(await refusal(controller.connect(shared.id, { network: 'bridge' }))).toMatchObject({
        kind: 'invalidArgument',
        message: 'container cannot be disconnected from host network or connected to host network',
      });
    });

    test('creating twice gives the same sandbox, removing twice succeeds', async () => {
      const id = randomId();
      const first = await sandbox('web', { id });
      expect(await sandbox('web', { id })).toEqual(first);
      expect(await controller.sandbox(id)).toEqual(first);
      await controller.removeSandbox(id);
      await controller.removeSandbox(id);
      expect((await refusal(controller.sandbox(id))).kind).toBe('notFound');
    });

    test('user networks: found by name, id and prefix, refused when in the way', async () => {
      const network = await controller.createNetwork({
        name: 'mine',
        driver: 'bridge',
        labels: { a: 'b' },
        pools: [{ subnet: '10.30.0.0/24' }],
      });
      expect(network.spec).toMatchObject({
        labels: { a: 'b' },
        pools: [{ subnet: '10.30.0.0/24', gateway: '10.30.0.1' }],
      });
      for (const key of [network.id, 'mine', network.id.slice(0, 12)])
        expect(await controller.network(key)).toEqual(network);
      expect(await refusal(controller.network('nosuch'))).toMatchObject({
        kind: 'notFound',
        message: 'network nosuch not found',
      });
      expect(await refusal(controller.createNetwork({ name: 'mine', driver: 'bridge' }))).toMatchObject({
        kind: 'conflict',
        message: 'network with name mine already exists',
      });
      expect(
        await refusal(
          controller.createNetwork({ name: 'other', driver: 'bridge', pools: [{ subnet: '10.30.0.128/25' }] }),
        ),
      ).toMatchObject({ message: 'Pool overlaps with other one on this address space' });
      expect(await refusal(controller.createNetwork({ name: 'other', driver: 'nosuch' }))).toMatchObject({
        kind: 'notFound',
        message: 'plugin "nosuch" not found',
      });
      expect(
        (
          await refusal(
            controller.createNetwork({
              name: 'x',
              driver: 'bridge',
              options: { 'com.docker.network.bridge.name': 'x;reboot' },
            }),
          )
        ).kind,
      ).toBe('invalidArgument');
      await sandbox('in', { endpoints: [{ network: 'mine' }] });
      expect(await refusal(controller.removeNetwork('mine'))).toMatchObject({
        message: `error while removing network: network mine id ${network.id} has active endpoints`,
      });
    });

    test('subnets chosen for networks avoid what the host reaches', async () => {
      await host.run(host.namespace, 'ip', 'route', 'add', '172.18.0.0/17', 'via', neighbourAddress);
      const network = await controller.createNetwork({ name: 'auto', driver: 'bridge' });
      expect(network.spec.pools[0]?.subnet).toBe('172.19.0.0/16');
      await host.run(host.namespace, 'ip', 'route', 'del', '172.18.0.0/17');
    });

    test('static addresses and MACs are kept, taken ones refused', async () => {
      await controller.createNetwork({ name: 'mine', driver: 'bridge', pools: [{ subnet: '10.30.0.0/24' }] });
      const endpoint = { network: 'mine', ipv4Address: '10.30.0.77', macAddress: '02:00:00:00:00:77' };
      const fixed = await sandbox('fixed', { endpoints: [endpoint] });
      expect(await host.run(fixed.namespacePath, 'ip', '-br', 'link', 'show', 'eth0')).toContain('02:00:00:00:00:77');
      expect(await host.canPing(host.namespace, '10.30.0.77')).toBe(true);
      expect(await refusal(sandbox('late', { endpoints: [endpoint] }))).toMatchObject({
        message: 'Address already in use',
      });
      expect(
        await refusal(sandbox('out', { endpoints: [{ network: 'mine', ipv4Address: '10.31.0.1' }] })),
      ).toMatchObject({ kind: 'invalidArgument' });
      expect(
        await refusal(sandbox('default', { endpoints: [{ network: 'bridge', ipv4Address: '172.17.0.9' }] })),
      ).toMatchObject({
        message: 'user specified IP address is supported on user defined networks only',
      });
    });

    test('a full network says so', async () => {
      const { id } = await controller.createNetwork({
        name: 'tiny',
        driver: 'bridge',
        pools: [{ subnet: '10.31.0.0/30' }],
      });
      await sandbox('one', { endpoints: [{ network: 'tiny' }] });
      expect(await refusal(sandbox('two', { endpoints: [{ network: 'tiny' }] }))).toMatchObject({
        message: `no available IPv4 addresses on this network's address pools: tiny (${id})`,
      });
    });

    test('networks are isolated from each other, internal ones from the world', async () => {
      await controller.createNetwork({ name: 'n1', driver: 'bridge' });
      await controller.createNetwork({ name: 'n2', driver: 'bridge' });
      await controller.createNetwork({ name: 'inner', driver: 'bridge', isInternal: true });
      const a = await sandbox('a', { endpoints: [{ network: 'n1' }] });
      const b = await sandbox('b', { endpoints: [{ network: 'n2' }] });
      const c = await sandbox('c', { endpoints: [{ network: 'inner' }] });
      const d = await sandbox('d', { endpoints: [{ network: 'inner' }] });
      expect(await host.canPing(a.namespacePath, neighbourAddress)).toBe(true);
      expect(await host.canPing(a.namespacePath, addressOf(b))).toBe(false);
      expect(await host.canPing(c.namespacePath, addressOf(d))).toBe(true);
      expect(await host.canPing(c.namespacePath, neighbourAddress)).toBe(false);
      // not even with a route of its own
      await host.run(c.namespacePath, 'ip', 'route', 'add', 'default', 'dev', 'eth0');
      expect(await host.canPing(c.namespacePath, neighbourAddress)).toBe(false);
      expect(await host.canPing(a.namespacePath, addressOf(c))).toBe(false);
    });

    test('without inter-container communication only the gateway is reached', async () => {
      const options = { 'com.docker.network.bridge.enable_icc': 'false' };
      await controller.createNetwork({ name: 'quiet', driver: 'bridge', options });
      const a = await sandbox('a', { endpoints: [{ network: 'quiet' }] });
      const b = await sandbox('b', { endpoints: [{ network: 'quiet' }] });
      expect(await host.canPing(a.namespacePath, addressOf(b))).toBe(false);
      expect(await host.canPing(a.namespacePath, a.endpoints[0]?.ipv4Gateway ?? '')).toBe(true);
      expect(await host.canPing(a.namespacePath, neighbourAddress)).toBe(true);
    });

    test('members of a user network find each other by name, also those that come and go later', async () => {
      await controller.createNetwork({ name: 'app', driver: 'bridge' });
      const web = await sandbox('web', { endpoints: [{ network: 'app' }] });
      const inode = statSync(web.spec.files?.hostsPath ?? '').ino;
      const db = await sandbox('db', { endpoints: [{ network: 'app', aliases: ['postgres'] }] });
      const line = `${addressOf(db)}\tdb postgres ${db.id.slice(0, 12)} db.app`;
      expect(hostsOf(web)).toContain(`${line}\n`);
      expect(hostsOf(db)).toContain(`${addressOf(web)}\tweb `);
      await controller.removeSandbox(db.id);
      expect(hostsOf(web)).not.toContain(line);
      expect(statSync(web.spec.files?.hostsPath ?? '').ino).toBe(inode);
    });

    test('links, extra hosts and names in /etc/hosts', async () => {
      const db = await sandbox('db');
      const web = await sandbox('web', {
        domainname: 'corp.example',
        endpoints: [{ network: 'bridge', links: ['db:postgres'] }],
        extraHosts: ['far:10.1.2.3', 'me:host-gateway'],
      });
      const short = web.id.slice(0, 12);
      expect(hostsOf(web)).toContain(
        `10.1.2.3\tfar\n172.17.0.1\tme\n${addressOf(db)}\tpostgres ${db.id.slice(0, 12)} db\n${addressOf(web)}\t${short}.corp.example ${short}\n`,
      );
      expect((await refusal(sandbox('evil', { extraHosts: ['a\n1.2.3.4 bank:1.1.1.1'] }))).kind).toBe(
        'invalidArgument',
      );
    });

    test('DNS settings replace the file of the host', async () => {
      const web = await sandbox('web', {
        dns: { servers: ['1.1.1.1'], search: ['corp.example'], options: ['ndots:2'] },
      });
      expect(readFileSync(web.spec.files?.resolvConfPath ?? '', 'utf8')).toBe(
        'search corp.example\nnameserver 1.1.1.1\noptions ndots:2\n',
      );
    });

    test('joining and leaving a network while a sandbox lives; the gateway and its ports follow', async () => {
      await controller.createNetwork({ name: 'zeta', driver: 'bridge' });
      await controller.createNetwork({ name: 'alpha', driver: 'bridge' });
      const web = await sandbox('web', {
        endpoints: [{ network: 'zeta' }],
        ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8085 }],
      });
      host.serve(web.namespacePath, 80);
      const joined = await controller.connect(web.id, { network: 'alpha', aliases: ['w'] });
      expect(joined).toMatchObject({ interfaceName: 'eth1', networkName: 'alpha' });
      expect(await host.run(web.namespacePath, 'ip', 'route', 'show', 'default')).toContain(
        `via ${joined.ipv4Gateway} dev eth1`,
      );
      expect(await host.ask(host.namespace, '127.0.0.1', 8085)).toBe(`from ${joined.ipv4Gateway}`);
      expect(hostsOf(web)).toContain(`${joined.ipv4Address}\t${web.id.slice(0, 12)}\n`);
      expect(await refusal(controller.connect(web.id, { network: 'alpha' }))).toMatchObject({
        message: 'endpoint with name web already exists in network alpha',
      });
      await controller.disconnect(web.id, 'alpha');
      expect(await host.run(web.namespacePath, 'ip', 'route', 'show', 'default')).toContain('dev eth0');
      expect(await host.ask(host.namespace, '127.0.0.1', 8085)).toBe(`from ${web.endpoints[0]?.ipv4Gateway}`);
      expect(hostsOf(web)).not.toContain(joined.ipv4Address);
      // interface names are not used twice
      expect(await controller.connect(web.id, { network: 'bridge' })).toMatchObject({ interfaceName: 'eth2' });
      expect(await refusal(controller.disconnect(web.id, 'alpha'))).toMatchObject({ kind: 'permissionDenied' });
      await controller.disconnect(web.id, 'alpha', { force: true });
    });

    test('ports of a sandbox without a way out are published when it gets one', async () => {
      await controller.createNetwork({ name: 'inner', driver: 'bridge', isInternal: true });
      const ports = [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8087 }] as const;
      const web = await sandbox('web', { endpoints: [{ network: 'inner' }], ports });
      expect(web.ports).toEqual([]);
      expect(await host.run(web.namespacePath, 'ip', 'route', 'show', 'default')).toBe('');
      host.serve(web.namespacePath, 80);
      await controller.connect(web.id, { network: 'bridge' });
      expect((await controller.sandbox(web.id)).ports).toHaveLength(2);
      expect(await host.ask(host.neighbour, hostAddress, 8087)).toBe(`from ${neighbourAddress}`);
    });

    test('a configuration network lends its settings', async () => {
      await controller.createNetwork({
        name: 'settings',
        driver: 'bridge',
        isConfigOnly: true,
        pools: [{ subnet: '10.33.0.0/24' }],
        labels: { from: 'settings' },
      });
      const made = await controller.createNetwork({ name: 'made', driver: 'bridge', configFrom: 'settings' });
      expect(made.spec).toMatchObject({
        pools: [{ subnet: '10.33.0.0/24', gateway: '10.33.0.1' }],
        labels: { from: 'settings' },
      });
      expect(await refusal(controller.removeNetwork('settings'))).toMatchObject({
        message: 'configuration network "settings" is in use',
      });
      await controller.removeNetwork('made');
      await controller.removeNetwork('settings');
    });

    test('IPv6 networks: addresses, routes and ports of both families', async () => {
      const network = await controller.createNetwork({ name: 'six', driver: 'bridge', enableIPv6: true });
      const pool = network.spec.pools.find(({ subnet }) => subnet?.includes(':') === true);
      expect(pool?.subnet).toMatch(/^fd[0-9a-f:]+::\/64$/);
      const a = await sandbox('a', {
        endpoints: [{ network: 'six' }],
        ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8086 }],
      });
      const b = await sandbox('b', { endpoints: [{ network: 'six' }] });
      const address = a.endpoints[0]?.ipv6Address ?? '';
      expect(address.startsWith(pool?.gateway?.slice(0, -1) ?? '?')).toBe(true);
      expect(await host.canPing(b.namespacePath, address)).toBe(true);
      expect(await host.run(a.namespacePath, 'ip', '-6', 'route', 'show', 'default')).toContain(`via ${pool?.gateway}`);
      host.serve(a.namespacePath, 80);
      expect(await host.ask(host.namespace, '::1', 8086)).toMatch(/^from fd/);
      expect(await host.ask(b.namespacePath, pool?.gateway ?? '', 8086)).toMatch(/^from fd/);
    });

    test('nothing is left after everything was removed', async () => {
      const network = await controller.createNetwork({ name: 'gone', driver: 'bridge' });
      const made = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          sandbox(`c${index}`, {
            endpoints: [{ network: 'bridge' }, { network: 'gone' }],
            ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 }],
          }),
        ),
      );
      await Promise.all(made.map(({ id }) => controller.removeSandbox(id)));
      await controller.removeNetwork(network.id);
      await poll({ everyMs: 20, timeoutMs: 3000 }, () => host.census([target.runDirectory]).length === 2 || undefined);
      expect(host.census([target.runDirectory])).toEqual([
        expect.stringMatching(/^link boxship0 /),
        expect.stringMatching(/^table boxship-/),
      ]);
      const rules = await host.run(host.namespace, 'nft', 'list', 'ruleset');
      expect(rules).not.toContain('tcp . ');
    });
  });
}
