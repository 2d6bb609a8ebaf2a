/** What the flags of the firewall change, and what two engines and two drivers leave each other. */
import { poll, randomId } from '@boxship/base';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sandbox } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

let host: TestHost;
const started: TestNetworkd[] = [];
beforeEach(() => {
  host = new TestHost();
});
afterEach(async () => {
  for (const networkd of started.splice(0)) networkd[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

function start(instance: string, ...flags: readonly string[]): TestNetworkd {
  const networkd = new TestNetworkd(host, instance);
  started.push(networkd);
  networkd.start(undefined, flags);
  return networkd;
}

async function web(networkd: TestNetworkd, hostPort: number): Promise<Sandbox> {
  const sandbox = await networkd.controller.createSandbox({
    id: randomId(),
    containerName: `web-${hostPort}`,
    hostname: 'web',
    domainname: '',
    endpoints: [{ network: 'bridge' }],
    ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort }],
  });
  host.serve(sandbox.namespacePath, 80);
  return sandbox;
}

const fromNeighbour = (port: number): Promise<string | undefined> => host.ask(host.neighbour, hostAddress, port);
const iptables = (...args: readonly string[]): Promise<string> => host.run(host.namespace, 'iptables', ...args);
const rules = async (): Promise<string> => {
  const text = await host.run(host.namespace, 'sh', '-c', 'iptables-save; ip6tables-save');
  return text.replaceAll(/^[#:*].*\n?|^COMMIT\n?/gm, '').replaceAll(/ *\[\d+:\d+\]/g, '');
};

/** As ufw sets them: everything is denied that is not allowed. */
async function denyInput(...allowed: readonly number[]): Promise<void> {
  await iptables('-P', 'INPUT', 'DROP');
  await iptables('-A', 'INPUT', '-i', 'lo', '-j', 'ACCEPT');
  await iptables('-A', 'INPUT', '-m', 'conntrack', '--ctstate', 'RELATED,ESTABLISHED', '-j', 'ACCEPT');
  for (const port of allowed) await iptables('-A', 'INPUT', '-p', 'tcp', '--dport', String(port), '-j', 'ACCEPT');
}

describe('--firewall-obeys-input', () => {
  test('published ports are open as far as INPUT lets them be; the client keeps its address', async () => {
    await denyInput(8081);
    const networkd = start('one', '--firewall-obeys-input=true');
    await web(networkd, 8080);
    const open = await web(networkd, 8081);
    expect(await fromNeighbour(8081)).toBe(`from ${neighbourAddress}`);
    expect(await fromNeighbour(8080)).toBeUndefined();
    // the host and its containers are no outsiders
    expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
    expect(await host.ask(open.namespacePath, hostAddress, 8080)).toMatch(/^from /);
    await iptables('-A', 'INPUT', '-p', 'tcp', '--dport', '8080', '-s', neighbourAddress, '-j', 'ACCEPT');
    expect(await fromNeighbour(8080)).toBe(`from ${neighbourAddress}`);
    // also while nobody is there to look after it
    await networkd.kill();
    expect(await fromNeighbour(8080)).toBe(`from ${neighbourAddress}`);
    await iptables('-F', 'INPUT');
    expect(await fromNeighbour(8080)).toBeUndefined();
    // without the setting published ports pass by INPUT, as with Docker
    networkd.start();
    await networkd.controller.listNetworks();
    expect(await fromNeighbour(8080)).toBe(`from ${neighbourAddress}`);
    expect(await host.run(host.namespace, 'ip', '-br', 'link')).not.toContain('bxi-');
  });

  test('IPv6 and UDP as well', async () => {
    const on = ['dev', 'up0', 'nodad'];
    await host.run(host.namespace, 'ip', 'addr', 'replace', '2001:db8::1/64', ...on);
    await host.run(host.neighbour, 'ip', 'addr', 'replace', '2001:db8::2/64', 'dev', 'lan0', 'nodad');
    const networkd = start('one', '--firewall-obeys-input=true');
    await networkd.controller.createNetwork({ name: 'six', driver: 'bridge', enableIPv6: true });
    const sandbox = await networkd.controller.createSandbox({
      id: randomId(),
      containerName: 'web',
      hostname: 'web',
      domainname: '',
      endpoints: [{ network: 'six' }],
      ports: [
        { protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 },
        { protocol: 'udp', containerPort: 5353, hostIp: '', hostPort: 5300 },
      ],
    });
    host.serve(sandbox.namespacePath, 80);
    const script = `const s=require('dgram').createSocket('udp4');s.on('message',(m,r)=>s.send(r.address,r.port,r.address));s.bind(5353,()=>console.log('ready'))`;
    const server = host.spawn(sandbox.namespacePath, process.execPath, ['-e', script]);
    await new Promise((resolve) => server.stdout?.once('data', resolve));
    const udp = (): Promise<string> =>
      host.run(host.neighbour, 'sh', '-c', `printf x | socat -t 1 - UDP:${hostAddress}:5300`).catch(() => '');
    const tcp6 = (): Promise<string | undefined> => host.ask(host.neighbour, '2001:db8::1', 8080);
    expect(await poll({ everyMs: 50, timeoutMs: 5000 }, tcp6)).toBe('from 2001:db8::2');
    expect(await udp()).toBe(neighbourAddress);
    await host.run(host.namespace, 'ip6tables', '-A', 'INPUT', '-p', 'tcp', '--dport', '8080', '-j', 'DROP');
    await iptables('-A', 'INPUT', '-p', 'udp', '--dport', '5300', '-j', 'DROP');
    expect(await tcp6()).toBeUndefined();
    expect(await udp()).toBe('');
  });

  test('is refused where it could not be kept', async () => {
    const iptablesOnly = start('one', '--firewall-obeys-input=true', '--firewall-backend=iptables');
    expect(await iptablesOnly.ended()).toBe(1);
    expect(iptablesOnly.log).toContain('published ports obey INPUT with nftables only, not with iptables');
    await host.run(host.namespace, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter');
    const strict = start('two', '--firewall-obeys-input=true');
    expect(await strict.ended()).toBe(1);
    expect(strict.log).toContain('net.ipv4.conf.all.rp_filter');
  });
});

describe('the drivers', () => {
  test('a change of driver takes the rules of the former out; running containers notice nothing', async () => {
    const before = await rules();
    const networkd = start('one');
    await web(networkd, 8080);
    await networkd.kill();
    networkd.start(undefined, ['--firewall-backend=iptables']);
    await networkd.controller.listNetworks();
    expect(await fromNeighbour(8080)).toBe(`from ${neighbourAddress}`);
    expect(await host.run(host.namespace, 'nft', 'list', 'tables')).not.toContain('boxship');
    expect(await iptables('-S', 'DOCKER')).toContain('--comment boxship-one');
    await networkd.kill();
    networkd.start();
    await networkd.controller.listNetworks();
    expect(await fromNeighbour(8080)).toBe(`from ${neighbourAddress}`);
    // the chain of the administrator is not taken away
    expect(await rules()).toBe(before);
    expect(await iptables('-S', 'DOCKER-USER')).toBe('-N DOCKER-USER');
  });

  test('iptables: the rules of the administrator and of another engine in the same chains stay', async () => {
    await iptables('-N', 'DOCKER-USER');
    await iptables('-A', 'DOCKER-USER', '-s', '192.0.2.1/32', '-j', 'DROP');
    const one = start('one', '--firewall-backend=iptables');
    await web(one, 8080);
    const alone = await rules();
    const two = start('two.b', '--firewall-backend=iptables');
    await web(two, 8081);
    expect(await fromNeighbour(8080)).toBe(`from ${neighbourAddress}`);
    expect(await fromNeighbour(8081)).toBe(`from ${neighbourAddress}`);
    await two.kill();
    two.start(undefined, ['--firewall-backend=iptables', '--purge']);
    expect(await two.ended()).toBe(0);
    expect((await rules()).split('\n').sort()).toEqual(alone.split('\n').sort());
    expect(await fromNeighbour(8080)).toBe(`from ${neighbourAddress}`);
    await one.kill();
    one.start(undefined, ['--firewall-backend=iptables', '--purge']);
    expect(await one.ended()).toBe(0);
    const left = await rules();
    expect(left).toContain('-A DOCKER-USER -s 192.0.2.1/32 -j DROP');
    expect(left).not.toContain('boxship');
    expect(await host.run(host.namespace, 'iptables', '-t', 'nat', '-S')).not.toContain('-N DOCKER');
  });
});

test('--iptables=false: not a single rule; ports are carried by the process', async () => {
  const before = await host.run(host.namespace, 'nft', 'list', 'ruleset');
  const networkd = start('one', '--iptables=false');
  await web(networkd, 8080);
  expect(await fromNeighbour(8080)).toBe('from 172.17.0.1');
  expect(await host.ask(host.namespace, '127.0.0.1', 8080)).toMatch(/^from /);
  expect(await host.run(host.namespace, 'nft', 'list', 'ruleset')).toBe(before);
  const localnet = await host.run(host.namespace, 'cat', '/proc/sys/net/ipv4/conf/boxship0/route_localnet');
  expect(localnet).toBe('0');
});

test('--ip6tables=false, --ip-forward=false and --ip-masq=false leave what they name alone', async () => {
  for (const family of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
    await host.run(host.namespace, 'sh', '-c', `echo 0 > /proc/sys/net/${family}`);
  const networkd = start(
    'one',
    '--firewall-backend=iptables',
    '--ip6tables=false',
    '--ip-forward=false',
    '--ip-masq=false',
  );
  await networkd.controller.createNetwork({ name: 'six', driver: 'bridge', enableIPv6: true });
  for (const family of ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'])
    expect(await host.run(host.namespace, 'cat', `/proc/sys/net/${family}`)).toBe('0');
  expect(await host.run(host.namespace, 'ip6tables-save')).not.toContain('boxship');
  expect(await iptables('-t', 'nat', '-S', 'POSTROUTING')).not.toMatch(/-s 172\.17\.0\.0\/16 ! -o/);
  const { spec } = await networkd.controller.network('bridge');
  expect(spec.options['com.docker.network.bridge.enable_ip_masquerade']).toBe('false');
});
