/** What published ports promise: who reaches them, who does not, and how they are refused. */
import { expect, test } from 'vitest';
import type { Sandbox } from '../controller.ts';
import { addressOf, hostsOf, refusal, type Suite } from './suite.ts';
import { hostAddress, neighbourAddress } from './test-host.ts';

export function portTests(suite: Suite): void {
  test('a published port is reached from everywhere it should be', async () => {
    const ports = [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 }] as const;
    const web = await suite.sandbox('web', { ports });
    const other = await suite.sandbox('other');
    const network = await suite.controller.createNetwork({ name: 'elsewhere', driver: suite.driver });
    const stranger = await suite.sandbox('stranger', { endpoints: [{ network: network.id }] });
    suite.host.serve(web.namespacePath, 80);
    expect(web.ports).toEqual([
      { protocol: 'tcp', containerPort: 80, hostIp: '0.0.0.0', hostPort: 8080 },
      { protocol: 'tcp', containerPort: 80, hostIp: '::', hostPort: 8080 },
    ]);
    expect(await suite.host.ask(suite.host.namespace, '127.0.0.1', 8080)).toBe('from 172.17.0.1');
    expect(await suite.host.ask(suite.host.namespace, '::1', 8080)).toBe('from 172.17.0.1');
    expect(await suite.host.ask(suite.host.namespace, hostAddress, 8080)).toMatch(/^from /);
    // the client's own address arrives
    expect(await suite.host.ask(suite.host.neighbour, hostAddress, 8080)).toBe(`from ${neighbourAddress}`);
    expect(await suite.host.ask(other.namespacePath, '172.17.0.1', 8080)).toMatch(/^from /);
    expect(await suite.host.ask(web.namespacePath, hostAddress, 8080)).toMatch(/^from /);
    expect(await suite.host.ask(stranger.namespacePath, hostAddress, 8080)).toMatch(/^from /);
    // other networks reach the published port, not the container
    expect(await suite.host.ask(stranger.namespacePath, addressOf(web), 80)).toBeUndefined();
    expect(await suite.host.ask(suite.host.neighbour, addressOf(web), 80)).toBeUndefined();
    await suite.controller.removeSandbox(web.id);
    expect(await suite.host.ask(suite.host.namespace, '127.0.0.1', 8080)).toBeUndefined();
    await suite.sandbox('again', { ports });
  });

  test('ports are published and taken back while a sandbox lives; the others notice nothing', async () => {
    const port = (hostPort: number, hostIp = '', containerPort = 80) =>
      ({ protocol: 'tcp', containerPort, hostIp, hostPort }) as const;
    const web = await suite.sandbox('web', { ports: [port(8080)] });
    suite.host.serve(web.namespacePath, 80);
    const ask = (hostPort: number) => suite.host.ask(suite.host.neighbour, hostAddress, hostPort);
    expect(await suite.controller.publish(web.id, [port(8090, '0.0.0.0'), port(8091)])).toEqual([
      port(8090, '0.0.0.0'),
      port(8091, '0.0.0.0'),
      port(8091, '::'),
    ]);
    for (const number of [8080, 8090, 8091]) expect(await ask(number)).toBe(`from ${neighbourAddress}`);
    expect((await suite.controller.sandbox(web.id)).ports).toHaveLength(5);
    // one of two is taken: none is published
    expect((await refusal(suite.controller.publish(web.id, [port(8092), port(8080)]))).message).toContain(
      'Bind for 0.0.0.0:8080 failed: port is already allocated',
    );
    expect(await ask(8092)).toBeUndefined();
    await suite.controller.unpublish(web.id, [port(8090), port(8091), port(9999)]);
    for (const number of [8090, 8091]) expect(await ask(number)).toBeUndefined();
    expect(await ask(8080)).toBe(`from ${neighbourAddress}`);
    expect((await suite.controller.sandbox(web.id)).ports).toEqual([port(8080, '0.0.0.0'), port(8080, '::')]);
    await suite.sandbox('other', { ports: [port(8090), port(8091), port(8092)] });
    expect((await refusal(suite.controller.publish(web.id, [port(0, '', 70_000)]))).kind).toBe('invalidArgument');
    expect((await refusal(suite.controller.publish('nobody', [port(1)]))).kind).toBe('notFound');
    // without a network that carries ports they wait for one
    const inner = await suite.controller.createNetwork({ name: 'inner', driver: suite.driver, isInternal: true });
    const late = await suite.sandbox('late', { endpoints: [{ network: inner.id }] });
    expect(await suite.controller.publish(late.id, [port(8093)])).toEqual([]);
    suite.host.serve(late.namespacePath, 80);
    await suite.controller.connect(late.id, { network: 'bridge' });
    expect(await ask(8093)).toBe(`from ${neighbourAddress}`);
    // what was published stays so wherever the gateway is
    const outer = await suite.controller.createNetwork({ name: 'aaa', driver: suite.driver });
    await suite.controller.publish(late.id, [port(8094)]);
    await suite.controller.connect(late.id, { network: outer.id });
    for (const number of [8093, 8094]) expect(await ask(number)).toBe(`from ${neighbourAddress}`);
  });

  test('a port published on loopback stays there', async () => {
    const web = await suite.sandbox('web', {
      ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8081 }],
    });
    suite.host.serve(web.namespacePath, 80);
    expect(await suite.host.ask(suite.host.namespace, '127.0.0.1', 8081)).toMatch(/^from /);
    expect(await suite.host.ask(suite.host.neighbour, hostAddress, 8081)).toBeUndefined();
    // a neighbour that sends frames for 127.0.0.1 to the host
    await suite.host.run(
      suite.host.neighbour,
      'ip',
      'route',
      'del',
      'local',
      '127.0.0.1',
      'dev',
      'lo',
      'table',
      'local',
    );
    await suite.host.run(
      suite.host.neighbour,
      'ip',
      'route',
      'del',
      'local',
      '127.0.0.0/8',
      'dev',
      'lo',
      'table',
      'local',
    );
    await suite.host.run(suite.host.neighbour, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/lan0/route_localnet');
    await suite.host.run(suite.host.neighbour, 'ip', 'route', 'add', '127.0.0.1/32', 'via', hostAddress, 'dev', 'lan0');
    expect(await suite.host.ask(suite.host.neighbour, '127.0.0.1', 8081)).toBeUndefined();
    await suite.host.run(suite.host.neighbour, 'ip', 'route', 'del', '127.0.0.1/32');
    await suite.host.run(
      suite.host.neighbour,
      'ip',
      'route',
      'add',
      'local',
      '127.0.0.0/8',
      'dev',
      'lo',
      'table',
      'local',
    );
  });

  /** A UDP server in a sandbox that answers `NAME MESSAGE`. */
  const serveUdp = async (of: Sandbox, answer: string): Promise<void> => {
    const script = `const s=require('dgram').createSocket('udp4');s.on('message',(m,r)=>s.send('${answer} '+m,r.port,r.address));s.bind(5353,()=>console.log('ready'))`;
    const child = suite.host.spawn(of.namespacePath, process.execPath, ['-e', script]);
    await new Promise((resolve) => child.stdout?.once('data', resolve));
  };
  const askUdp = (namespace: string, address: string, options = ''): Promise<string> =>
    suite.host.run(namespace, 'sh', '-c', `printf x | socat -t 0.5 - UDP:${address}:5300${options}`);

  test('UDP is published too', async () => {
    const ports = [{ protocol: 'udp', containerPort: 5353, hostIp: '', hostPort: 5300 }] as const;
    await serveUdp(await suite.sandbox('dns', { ports }), 'one');
    expect(await askUdp(suite.host.namespace, '127.0.0.1')).toBe('one x');
    expect(await askUdp(suite.host.namespace, '[::1]')).toBe('one x');
    expect(await askUdp(suite.host.neighbour, hostAddress)).toBe('one x');
  });

  test('a UDP client that goes on sending reaches the next owner of the port', async () => {
    const ports = [{ protocol: 'udp', containerPort: 5353, hostIp: '', hostPort: 5300 }] as const;
    const first = await suite.sandbox('first', { ports });
    await serveUdp(first, 'first');
    const ask = (): Promise<string> => askUdp(suite.host.neighbour, hostAddress, ',sourceport=40000,reuseaddr');
    expect(await ask()).toBe('first x');
    await suite.controller.removeSandbox(first.id);
    // into the void: the connection is tracked anew, untranslated
    await expect(ask()).rejects.toThrow('Connection refused');
    await serveUdp(await suite.sandbox('second', { ports }), 'second');
    expect(await ask()).toBe('second x');
  });

  test('ports in use are refused in the words of Docker and leave nothing behind', async () => {
    await suite.sandbox('first', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8082 }] });
    const taken = await refusal(
      suite.sandbox('second', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '127.0.0.1', hostPort: 8082 }] }),
    );
    expect(taken.kind).toBe('unknown');
    expect(taken.message).toMatch(
      /^driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): Bind for 127\.0\.0\.1:8082 failed: port is already allocated$/,
    );
    suite.host.serve(suite.host.namespace, 8099);
    const foreign = await refusal(
      suite.sandbox('third', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8099 }] }),
    );
    expect(foreign.message).toMatch(/: listen tcp4 0\.0\.0\.0:8099: bind: address already in use$/);
    const remote = await refusal(
      suite.sandbox('fourth', { ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '1.2.3.4', hostPort: 7777 }] }),
    );
    expect(remote.message).toMatch(/: listen tcp4 1\.2\.3\.4:7777: bind: cannot assign requested address$/);
    // half of a request that failed is free again
    const half = [
      { protocol: 'tcp', containerPort: 81, hostIp: '', hostPort: 8083 },
      { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8082 },
    ] as const;
    await refusal(suite.sandbox('fifth', { ports: half }));
    await suite.sandbox('sixth', { ports: [half[0]] });
    expect((await suite.controller.listSandboxes()).map(({ spec }) => spec.containerName).sort()).toEqual([
      'first',
      'sixth',
    ]);
  });

  test('ports without a number and ranges are chosen', async () => {
    const request = { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 0 } as const;
    const [a, b] = await Promise.all([
      suite.sandbox('a', { ports: [request] }),
      suite.sandbox('b', { ports: [request] }),
    ]);
    const numbers = [a.ports[0]?.hostPort, b.ports[0]?.hostPort];
    expect(new Set(numbers).size).toBe(2);
    for (const number of numbers) expect(number).toBeGreaterThanOrEqual(32768);
    expect(a.ports[1]?.hostPort).toBe(a.ports[0]?.hostPort);
    const range = { ...request, hostPort: 9100, hostPortEnd: 9101 };
    const c = await suite.sandbox('c', { ports: [range] });
    const d = await suite.sandbox('d', { ports: [range] });
    expect([c.ports[0]?.hostPort, d.ports[0]?.hostPort]).toEqual([9100, 9101]);
    expect((await refusal(suite.sandbox('e', { ports: [range] }))).message).toContain('port is already allocated');
  });

  test('joining and leaving a network while a sandbox lives; the gateway and its ports follow', async () => {
    await suite.controller.createNetwork({ name: 'zeta', driver: suite.driver });
    await suite.controller.createNetwork({ name: 'alpha', driver: suite.driver });
    const web = await suite.sandbox('web', {
      endpoints: [{ network: 'zeta' }],
      ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8085 }],
    });
    suite.host.serve(web.namespacePath, 80);
    const joined = await suite.controller.connect(web.id, { network: 'alpha', aliases: ['w'] });
    expect(joined).toMatchObject({ interfaceName: 'eth1', networkName: 'alpha' });
    expect(await suite.host.run(web.namespacePath, 'ip', 'route', 'show', 'default')).toContain(
      `via ${joined.ipv4Gateway} dev eth1`,
    );
    expect(await suite.host.ask(suite.host.namespace, '127.0.0.1', 8085)).toBe(`from ${joined.ipv4Gateway}`);
    expect(hostsOf(web)).toContain(`${joined.ipv4Address}\t${web.id.slice(0, 12)}\n`);
    expect(await refusal(suite.controller.connect(web.id, { network: 'alpha' }))).toMatchObject({
      message: 'endpoint with name web already exists in network alpha',
    });
    await suite.controller.disconnect(web.id, 'alpha');
    expect(await suite.host.run(web.namespacePath, 'ip', 'route', 'show', 'default')).toContain('dev eth0');
    expect(await suite.host.ask(suite.host.namespace, '127.0.0.1', 8085)).toBe(`from ${web.endpoints[0]?.ipv4Gateway}`);
    expect(hostsOf(web)).not.toContain(joined.ipv4Address);
    // interface names are not used twice
    expect(await suite.controller.connect(web.id, { network: 'bridge' })).toMatchObject({ interfaceName: 'eth2' });
    expect(await refusal(suite.controller.disconnect(web.id, 'alpha'))).toMatchObject({ kind: 'permissionDenied' });
    await suite.controller.disconnect(web.id, 'alpha', { force: true });
  });

  test('ports of a sandbox without a way out are published when it gets one', async () => {
    await suite.controller.createNetwork({ name: 'inner', driver: suite.driver, isInternal: true });
    const ports = [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8087 }] as const;
    const web = await suite.sandbox('web', { endpoints: [{ network: 'inner' }], ports });
    expect(web.ports).toEqual([]);
    expect(await suite.host.run(web.namespacePath, 'ip', 'route', 'show', 'default')).toBe('');
    suite.host.serve(web.namespacePath, 80);
    await suite.controller.connect(web.id, { network: 'bridge' });
    expect((await suite.controller.sandbox(web.id)).ports).toHaveLength(2);
    expect(await suite.host.ask(suite.host.neighbour, hostAddress, 8087)).toBe(`from ${neighbourAddress}`);
  });
}
