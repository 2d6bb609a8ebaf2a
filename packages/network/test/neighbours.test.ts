/** Living with what else the host does: a real dockerd beside us, and routing that nobody asked for. */

import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { poll, randomId } from '@boxship/base';
import {
  changeLink,
  createNetworkNamespace,
  findLink,
  newAddress,
  newVeth,
  removeNetworkNamespace,
  setRoute,
} from '@boxship/linux';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Sandbox } from '../src/index.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

const dockerd = '/usr/sbin/dockerd';

let host: TestHost;
let networkd: TestNetworkd;
beforeEach(async () => {
  host = new TestHost();
  await host.run(host.namespace, 'sh', '-c', 'echo 0 > /proc/sys/net/ipv4/ip_forward');
  networkd = new TestNetworkd(host, 'one');
});
afterEach(async () => {
  networkd[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

const sandbox = (): Promise<Sandbox> =>
  networkd.controller.createSandbox({
    id: randomId(),
    containerName: 'web',
    hostname: 'web',
    domainname: '',
    endpoints: [{ network: 'bridge' }],
    ports: [{ protocol: 'tcp', containerPort: 80, hostIp: '', hostPort: 8080 }],
  });

test('turning forwarding on does not make the host a router between its own networks', async () => {
  const other = join(host.directory, 'other.ns');
  createNetworkNamespace(other, () => {});
  try {
    const fd = openSync(other, 'r');
    host.inside(host.namespace, (socket) => {
      socket.execute(newVeth({ name: 'up1', peer: { name: 'lan1', namespaceFd: fd } }));
      const linkIndex = findLink(socket, 'up1')?.index ?? 0;
      socket.execute(newAddress({ linkIndex, address: '10.98.0.1', prefixLength: 24 }));
    });
    closeSync(fd);
    host.inside(other, (socket) => {
      const linkIndex = findLink(socket, 'lan1')?.index ?? 0;
      socket.execute(
        changeLink(linkIndex, { isUp: true }),
        newAddress({ linkIndex, address: '10.98.0.2', prefixLength: 24 }),
        setRoute({ gateway: '10.98.0.1', linkIndex }),
      );
    });
    networkd.start();
    const web = await sandbox();
    host.serve(web.namespacePath, 80);
    expect(await host.run(host.namespace, 'cat', '/proc/sys/net/ipv4/ip_forward')).toBe('1');
    expect(await host.canPing(web.namespacePath, '10.98.0.2')).toBe(true);
    expect(await host.ask(other, '10.98.0.1', 8080)).toBe('from 10.98.0.2');
    expect(await host.canPing(other, neighbourAddress)).toBe(false);
    // the successor finds forwarding on and still knows why
    await networkd.kill();
    networkd.start();
    await networkd.controller.listNetworks();
    expect(await host.canPing(other, neighbourAddress)).toBe(false);
  } finally {
    removeNetworkNamespace(other);
  }
});

/** Debian's dockerd in the host of the test while `work` runs. */
async function besideDockerd(work: () => Promise<void>): Promise<void> {
  const directory = join(host.directory, 'docker');
  mkdirSync(directory);
  const socket = join(directory, 'docker.sock');
  const daemon = host.spawn(host.namespace, dockerd, [
    ...['-H', `unix://${socket}`, '--data-root', join(directory, 'root'), '--exec-root', join(directory, 'exec')],
    ...['--pidfile', join(directory, 'pid'), '--storage-driver', 'vfs'],
  ]);
  const ended = new Promise<void>((resolve) => daemon.once('exit', () => resolve()));
  try {
    await poll({ everyMs: 100, timeoutMs: 20_000 }, () => existsSync(socket) || undefined);
    await host.run(host.namespace, 'iptables', '-P', 'FORWARD', 'DROP');
    await work();
  } finally {
    daemon.kill('SIGTERM');
    await ended;
  }
}

describe.skipIf(!existsSync(dockerd))('beside dockerd', () => {
  test('both have their bridge, and its FORWARD policy does not stop our traffic', async () => {
    networkd.start();
    const web = await sandbox();
    host.serve(web.namespacePath, 80);
    await besideDockerd(async () => {
      const answer = await poll({ everyMs: 100, timeoutMs: 5000 }, async () => {
        const rules = await host.run(host.namespace, 'iptables', '-S', 'DOCKER-USER').catch(() => '');
        return rules.includes('-i boxship0 -j ACCEPT') ? await host.ask(host.neighbour, hostAddress, 8080) : undefined;
      });
      expect(answer).toBe(`from ${neighbourAddress}`);
      const links = await host.run(host.namespace, 'ip', '-br', 'addr');
      expect(links).toMatch(/docker0 .*172\.18\.0\.1\/16/);
      expect(links).toMatch(/boxship0 .*172\.17\.0\.1\/16/);
    });
  });

  test('in the same chains of iptables: what dockerd flushes at its start comes back, what is its own stays', async () => {
    networkd.start(undefined, ['--firewall-backend=iptables']);
    const web = await sandbox();
    host.serve(web.namespacePath, 80);
    await besideDockerd(async () => {
      const ask = () => host.ask(host.neighbour, hostAddress, 8080);
      expect(await poll({ everyMs: 100, timeoutMs: 5000 }, ask)).toBe(`from ${neighbourAddress}`);
      await networkd.kill();
      networkd.start(undefined, ['--firewall-backend=iptables', '--purge']);
      expect(await networkd.ended()).toBe(0);
      const rules = await host.run(host.namespace, 'iptables-save');
      expect(rules).not.toContain('boxship');
      expect(rules).toContain('-A FORWARD -o docker0 -j DOCKER');
      expect(rules).toContain(':DOCKER-ISOLATION-STAGE-1');
    });
  });
});
