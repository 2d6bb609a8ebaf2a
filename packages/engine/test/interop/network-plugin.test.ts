/** Debian's dockerd with our networks: boxship-networkd as its network driver and address management. */

import type { ChildProcess } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../src/paths.ts';
import { importBusybox } from '../harness/engine-under-test.ts';
import { type DockerdPeer, startDockerd } from '../harness/peers.ts';
import { endChild, SandboxHost } from '../harness/sandbox-host.ts';

let host: SandboxHost;
let dockerd: DockerdPeer;
let networkd: ChildProcess;
/** dockerd finds plugins by the names of their sockets in one directory of the machine: ours is of this test alone. */
let driver: string;
let socket: string;

async function startNetworkd(): Promise<void> {
  const directory = host.path('networkd');
  const flags = [
    '--address',
    `${directory}/network.sock`,
    '--root',
    `${directory}/root`,
    '--exec-root',
    `${directory}/run`,
  ];
  networkd = host.start('networkd', process.execPath, [
    '--no-warnings',
    programPath('boxship-networkd'),
    ...flags,
    ...['--instance', host.name, '--plugin-socket', socket, '--bridge', 'none'],
  ]);
  await host.listening(socket);
}

beforeAll(async () => {
  host = new SandboxHost();
  driver = host.name;
  socket = `/run/docker/plugins/${driver}.sock`;
  mkdirSync('/run/docker/plugins', { recursive: true });
  host.onDispose(() => rmSync(socket, { force: true }));
  await host.must('ip', ['link', 'add', 'lan0', 'type', 'veth', 'peer', 'name', 'lan1']);
  for (const name of ['lan0', 'lan1']) await host.must('ip', ['link', 'set', name, 'up']);
  await startNetworkd();
  dockerd = await startDockerd(host);
  await importBusybox(host, dockerd);
});
afterAll(async () => {
  await host[Symbol.asyncDispose]();
});

const web = (name: string, network: string, ...more: readonly string[]) =>
  dockerd.mustDocker([
    ...['run', '-d', '--name', name, '--network', network, ...more, 'busybox'],
    ...['sh', '-c', 'echo served > /index.html; exec httpd -f -h /'],
  ]);
const fetch = async (url: string): Promise<string> => (await host.run('curl', ['-s', '--max-time', '3', url])).stdout;
const addressOf = async (name: string, network: string): Promise<string> =>
  (
    await dockerd.mustDocker(['inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, name])
  ).trim();

describe('docker network create -d boxship on Debian’s dockerd', () => {
  it('bridge: containers reach each other by address and name, the host by published ports', async () => {
    await dockerd.mustDocker(['network', 'create', '-d', driver, '--ipam-driver', driver, 'app']);
    await web('first', 'app', '-p', '8080:80');
    const address = await addressOf('first', 'app');
    const bridges = await host.must('ip', ['-br', 'link', 'show', 'type', 'bridge']);
    const id = (await dockerd.mustDocker(['network', 'inspect', '-f', '{{.Id}}', 'app'])).slice(0, 12);
    expect(bridges).toContain(`br-${id}`);
    const get = ['run', '--rm', '--network', 'app', 'busybox', 'wget', '-qO-'];
    expect(await dockerd.mustDocker([...get, `http://${address}/`])).toBe('served\n');
    expect(await dockerd.mustDocker([...get, 'http://first/'])).toBe('served\n');
    expect(await fetch('http://127.0.0.1:8080/')).toBe('served\n');
    expect(await host.must('nft', ['list', 'tables'])).toContain(`boxship-${host.name}`);
  });

  it('what networkd holds lives through its death and that of dockerd’s connection to it', async () => {
    await endChild(networkd, 'SIGKILL');
    expect(await fetch('http://127.0.0.1:8080/')).toBe('served\n');
    await startNetworkd();
    expect(await fetch('http://127.0.0.1:8080/')).toBe('served\n');
    await web('second', 'app');
    expect(await addressOf('second', 'app')).not.toBe(await addressOf('first', 'app'));
    await dockerd.mustDocker(['rm', '-f', 'first', 'second']);
    expect(await fetch('http://127.0.0.1:8080/')).toBe('');
    await dockerd.mustDocker(['network', 'rm', 'app']);
    expect(await host.must('ip', ['-br', 'link'])).not.toMatch(/^(bx|br-)/m);
  });

  it('connect and disconnect of a running container', async () => {
    await dockerd.mustDocker(['network', 'create', '-d', driver, '--subnet', '10.90.0.0/24', 'late']);
    await dockerd.mustDocker(['run', '-d', '--name', 'joiner', '--network', 'none', 'busybox', 'sleep', '100']);
    await dockerd.mustDocker(['network', 'disconnect', 'none', 'joiner']);
    await dockerd.mustDocker(['network', 'connect', '--ip', '10.90.0.9', 'late', 'joiner']);
    expect(await dockerd.mustDocker(['exec', 'joiner', 'ip', '-4', '-o', 'addr'])).toContain('10.90.0.9/24');
    expect((await host.run('ping', ['-c', '1', '-W', '2', '10.90.0.9'])).code).toBe(0);
    await dockerd.mustDocker(['network', 'disconnect', 'late', 'joiner']);
    expect(await dockerd.mustDocker(['exec', 'joiner', 'ip', '-4', '-o', 'addr'])).not.toContain('10.90.0.9');
    await dockerd.mustDocker(['rm', '-f', 'joiner']);
    await dockerd.mustDocker(['network', 'rm', 'late']);
  });

  it('macvlan: a parent of the host', async () => {
    const args = ['-o', 'parent=lan0', '--subnet', '10.91.0.0/24'];
    await dockerd.mustDocker(['network', 'create', '-d', driver, ...args, 'lan']);
    await web('first', 'lan');
    const address = await addressOf('first', 'lan');
    const get = ['run', '--rm', '--network', 'lan', 'busybox', 'wget', '-qO-', `http://${address}/`];
    expect(await dockerd.mustDocker(get)).toBe('served\n');
    await dockerd.mustDocker(['rm', '-f', 'first']);
    await dockerd.mustDocker(['network', 'rm', 'lan']);
  });

  it('says why not, in the words of the plugin', async () => {
    const { code, stderr } = await dockerd.docker([
      'network',
      'create',
      '-d',
      driver,
      '-o',
      'boxship.driver=token',
      'x',
    ]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining('boxship.driver=token: bridge, macvlan or ipvlan is needed'),
    ]);
  });
});
