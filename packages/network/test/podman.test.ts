/** podman itself, with our command in the place of netavark: its networks, ports and names, and what is left of them. */
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

const netavark = fileURLToPath(new URL('../src/netavark/main.ts', import.meta.url));
/** Of every podman of the machine: there is no setting for it. */
const addressList = '/run/containers/networks/ipam.db';
const hadAddressList = existsSync(addressList);
let host: TestHost;
let networkd: TestNetworkd;
let rootfs: string;
beforeAll(() => {
  host = new TestHost();
  networkd = new TestNetworkd(host, 'one');
  networkd.start();
  rootfs = makeRootfs(join(host.directory, 'rootfs'));
  configure(host.directory);
});
afterAll(async () => {
  await podman('rm', '--all', '--force', '-t', '0'); // what a test that failed has left
  networkd[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
  if (!hadAddressList) rmSync(addressList, { force: true });
});

function makeRootfs(directory: string): string {
  for (const name of ['bin', 'dev', 'proc', 'sys', 'etc', 'tmp', 'run'])
    mkdirSync(join(directory, name), { recursive: true });
  copyFileSync('/bin/busybox', join(directory, 'bin/busybox'));
  return directory;
}

/** Everything of podman's in a directory of the test, but for the list of addresses given out; limits that a machine without privileges over them allows. */
function configure(directory: string): void {
  const helpers = join(directory, 'helpers');
  mkdirSync(helpers);
  writeFileSync(
    join(helpers, 'netavark'),
    `#!/bin/sh
export BOXSHIP_NETWORK_SOCKET=${networkd.address}
exec ${process.execPath} --conditions=@boxship/source --no-warnings ${netavark} "$@"
`,
    { mode: 0o755 },
  );
  const [runroot, graphroot] = [join(directory, 'podman/run'), join(directory, 'podman/root')];
  writeFileSync(
    join(directory, 'storage.conf'),
    `[storage]
driver = "vfs"
runroot = "${runroot}"
graphroot = "${graphroot}"
`,
  );
  writeFileSync(
    join(directory, 'containers.conf'),
    `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
helper_binaries_dir = ["${helpers}"]
lock_type = "file"
runtime = "runc"
[network]
network_backend = "netavark"
network_config_dir = "${directory}/podman/networks"
`,
  );
}

async function podman(...args: readonly string[]): Promise<string> {
  const { directory, namespace } = host;
  const command = [`--net=${namespace}`, 'podman', '--tmpdir', join(directory, 'podman/tmp'), ...args];
  const env = {
    ...process.env,
    CONTAINERS_CONF: join(directory, 'containers.conf'),
    CONTAINERS_STORAGE_CONF: join(directory, 'storage.conf'),
  };
  const { stdout } = await promisify(execFile)('nsenter', command, { env, timeout: 30_000, killSignal: 'SIGKILL' });
  return stdout.trim();
}

const busybox = (name: string, ...args: readonly string[]): Promise<string> =>
  podman('exec', name, '/bin/busybox', ...args);
const start = (name: string, ...options: readonly string[]): Promise<string> =>
  podman('run', '-d', '--name', name, ...options, '--rootfs', rootfs, '/bin/busybox', 'sleep', '1000');
const namespaces = (): string[] => {
  try {
    return readdirSync('/run/netns').filter((name) => name.startsWith('netns-'));
  } catch {
    return []; // no program has made one yet
  }
};

test('run with a port, network create, connect, disconnect, rm; names; nothing is left', {
  timeout: 120_000,
}, async () => {
  const before = namespaces();
  await networkd.controller.listNetworks();
  const census = host.census([networkd.runDirectory]);
  expect(await podman('info', '--format', '{{.Host.NetworkBackend}}')).toBe('netavark');
  await podman('network', 'create', '--subnet', '10.89.7.0/24', 'app');
  await podman('network', 'create', '--subnet', '10.89.8.0/24', 'two');
  await start('web', '--network', 'app', '-p', '8080:80', '-p', '127.0.0.1:8081:81');
  host.serve(await podman('inspect', '-f', '{{.NetworkSettings.SandboxKey}}', 'web'), 80);
  const fromNeighbour = () => host.ask(host.neighbour, hostAddress, 8080);
  expect(await fromNeighbour()).toBe(`from ${neighbourAddress}`);
  const ports = (await podman('port', 'web')).split('\n').sort(); // it lists a map, in any order
  expect(ports).toEqual(['80/tcp -> 0.0.0.0:8080', '81/tcp -> 127.0.0.1:8081']);
  const address = await podman('inspect', '-f', '{{.NetworkSettings.Networks.app.IPAddress}}', 'web');
  expect(address).toMatch(/^10\.89\.7\.\d+$/);

  await start('client', '--network', 'app');
  expect(await busybox('client', 'nslookup', 'web')).toContain(address);
  expect(await busybox('client', 'nc', '-w', '1', 'web', '80')).toMatch(/^from 10\.89\.7\./);

  await podman('network', 'connect', 'two', 'web');
  expect(await busybox('web', 'ip', '-4', 'address', 'show', 'eth1')).toContain('inet 10.89.8.');
  // what holds the ports is podman; a successor leaves them to it
  await networkd.kill();
  networkd.start();
  await networkd.controller.listNetworks();
  expect(networkd.log).not.toContain('in use by another program');
  expect(await fromNeighbour()).toBe(`from ${neighbourAddress}`);
  await podman('network', 'disconnect', 'two', 'web');
  await expect(busybox('web', 'ip', 'address', 'show', 'eth1')).rejects.toThrow(/eth1/);
  expect(await fromNeighbour()).toBe(`from ${neighbourAddress}`);

  await expect(start('taken', '--network', 'app', '-p', '8080:80')).rejects.toThrow(/8080/);
  expect(await fromNeighbour()).toBe(`from ${neighbourAddress}`);
  await podman('rm', '-f', '-t', '0', 'web', 'client', 'taken');
  await podman('network', 'rm', 'app', 'two');
  expect(await networkd.controller.listSandboxes()).toEqual([]);
  expect(host.census([networkd.runDirectory])).toEqual(census);
  expect(namespaces()).toEqual(before);
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(join(host.directory, 'podman'));
});
