/** Our CNI plugin as runtimes call it: the specification's commands and errors, alone and in a chain with Debian's plugins. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { poll } from '@boxship/base';
import { createNetworkNamespace, removeNetworkNamespace } from '@boxship/linux';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CniErrorMessage, CniResult } from '../src/cni/protocol.ts';
import { TestNetworkd } from '../src/testsuite/networkd.ts';
import { hostAddress, neighbourAddress, TestHost } from '../src/testsuite/test-host.ts';

/** A loaded machine may need more than one try. */
const reaches = (from: string, address: string): Promise<true | undefined> =>
  poll({ everyMs: 50, timeoutMs: 5000 }, async () => (await host.canPing(from, address)) || undefined);

const program = fileURLToPath(new URL('../src/cni/plugin/main.ts', import.meta.url));
let host: TestHost;
let networkd: TestNetworkd;
const namespaces: string[] = [];
beforeAll(() => {
  host = new TestHost();
  networkd = new TestNetworkd(host, 'one');
  networkd.start();
});
afterEach(async () => {
  for (const { id } of await networkd.controller.listSandboxes()) await networkd.controller.removeSandbox(id);
  for (const path of namespaces.splice(0)) removeNetworkNamespace(path);
});
afterAll(async () => {
  networkd[Symbol.dispose]();
  await host[Symbol.asyncDispose]();
});

/** A namespace as a runtime has made it. */
function namespace(name: string): string {
  const path = join(host.directory, `${name}.ns`);
  createNetworkNamespace(path, () => {});
  namespaces.push(path);
  return path;
}

type Environment = Readonly<Record<string, string>>;

function runPlugin(
  argv: readonly string[],
  env: Environment,
  input: string,
): Promise<{ code: number; stdout: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      'nsenter',
      [`--net=${host.namespace}`, ...argv],
      { env: { PATH: process.env['PATH'] ?? '', CNI_PATH: '/usr/lib/cni', ...env }, timeout: 20_000 },
      (error, stdout) => resolve({ code: error === null ? 0 : Number(error.code), stdout }),
    );
    child.stdin?.end(input);
  });
}

const ours = [process.execPath, '--conditions=@boxship/source', '--no-warnings', program];
const configuration = (more: object = {}) => ({
  cniVersion: '1.1.0',
  name: 'pods',
  type: 'boxship-cni',
  socket: networkd.address,
  ...more,
});

async function cni(env: Environment, conf: object): Promise<{ code: number; result: CniResult & CniErrorMessage }> {
  const { code, stdout } = await runPlugin(ours, env, JSON.stringify(conf));
  return { code, result: stdout === '' ? {} : JSON.parse(stdout) };
}

const environment = (command: string, containerId: string, path: string, interfaceName = 'eth0'): Environment => ({
  CNI_COMMAND: command,
  CNI_CONTAINERID: containerId,
  CNI_NETNS: path,
  CNI_IFNAME: interfaceName,
});

describe('boxship-cni', () => {
  test('ADD, CHECK, ADD again, DEL, DEL again', async () => {
    const path = namespace('a');
    const conf = configuration({ ipam: { subnet: '10.40.0.0/24' } });
    const added = await cni(environment('ADD', 'a', path), conf);
    expect(added).toEqual({
      code: 0,
      result: {
        cniVersion: '1.1.0',
        interfaces: [{ name: 'eth0', mac: '02:42:0a:28:00:02', sandbox: path }],
        ips: [{ address: '10.40.0.2/24', gateway: '10.40.0.1', interface: 0 }],
        routes: [{ dst: '0.0.0.0/0', gw: '10.40.0.1' }],
        dns: { nameservers: ['127.0.0.11'] },
      },
    });
    expect(await reaches(path, neighbourAddress)).toBe(true);
    const withResult = { ...conf, prevResult: added.result };
    expect(await cni(environment('CHECK', 'a', path), withResult)).toEqual({ code: 0, result: {} });
    expect((await cni(environment('ADD', 'a', path), conf)).result).toEqual(added.result);

    await host.run(path, 'ip', 'addr', 'flush', 'dev', 'eth0');
    const broken = await cni(environment('CHECK', 'a', path), withResult);
    expect([broken.code, broken.result.msg]).toEqual([1, 'interface eth0 has lost its address 10.40.0.2']);

    for (let time = 0; time < 2; time++)
      expect(await cni(environment('DEL', 'a', ''), withResult)).toEqual({ code: 0, result: {} });
    expect(await host.run(path, 'ip', '-br', 'link')).not.toContain('eth0');
    expect((await cni(environment('CHECK', 'a', path), withResult)).result).toMatchObject({ code: 3 });
  });

  test('what the runtime asks for: addresses, MAC, ports, names', async () => {
    const runtimeConfig = {
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: 'tcp' }],
      ips: ['10.40.0.77/24'],
      mac: '02:00:00:00:00:77',
      aliases: { pods: ['web'] },
    };
    const [a, b] = [namespace('a'), namespace('b')];
    const { result } = await cni(environment('ADD', 'a', a), configuration({ runtimeConfig }));
    expect(result.interfaces?.[0]?.mac).toBe('02:00:00:00:00:77');
    expect(result.ips?.[0]?.address).toBe('10.40.0.77/24');
    host.serve(a, 80);
    expect(await host.ask(host.neighbour, hostAddress, 8080)).toBe(`from ${neighbourAddress}`);
    await cni(environment('ADD', 'b', b), configuration());
    await host.run(b, 'ip', 'link', 'set', 'lo', 'up');
    expect(await host.run(b, 'busybox', 'nslookup', 'web', '127.0.0.11')).toContain('10.40.0.77');
    // an old runtime gets its own form
    const old = await cni(environment('ADD', 'c', namespace('c')), configuration({ cniVersion: '0.4.0' }));
    expect(old.result).toMatchObject({ cniVersion: '0.4.0', ips: [{ version: '4', interface: 0 }] });
  });

  test('GC takes out what is no longer in use, of this network only', async () => {
    const [a, b, c] = [namespace('a'), namespace('b'), namespace('c')];
    await cni(environment('ADD', 'a', a), configuration());
    await cni(environment('ADD', 'b', b), configuration());
    await cni(environment('ADD', 'c', c), configuration({ name: 'others' }));
    const valid = { 'cni.dev/valid-attachments': [{ containerID: 'b', ifname: 'eth0' }] };
    expect(await cni({ CNI_COMMAND: 'GC' }, configuration(valid))).toEqual({ code: 0, result: {} });
    const has = async (path: string) => (await host.run(path, 'ip', '-br', 'link')).includes('eth0');
    expect([await has(a), await has(b), await has(c)]).toEqual([false, true, true]);
  });

  test('STATUS and VERSION', async () => {
    expect(await cni({ CNI_COMMAND: 'STATUS' }, configuration())).toEqual({ code: 0, result: {} });
    const away = await cni({ CNI_COMMAND: 'STATUS' }, configuration({ socket: '/nosuch.sock' }));
    expect([away.code, away.result.code]).toEqual([1, 50]);
    const { result } = await cni({ CNI_COMMAND: 'VERSION' }, { cniVersion: '1.0.0' });
    expect(result).toEqual({ cniVersion: '1.0.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] });
  });

  test.each([
    [{ CNI_COMMAND: 'PLAY' }, '{}', 4, 'unknown CNI_COMMAND: PLAY'],
    [
      { CNI_COMMAND: 'ADD', CNI_CONTAINERID: 'a', CNI_IFNAME: 'eth0' },
      '{}',
      4,
      'required env variables [CNI_NETNS] missing',
    ],
    [{ CNI_COMMAND: 'DEL', CNI_CONTAINERID: '-a', CNI_IFNAME: 'eth0' }, '{}', 4, 'invalid characters in containerID'],
    [{ CNI_COMMAND: 'DEL', CNI_CONTAINERID: 'a', CNI_IFNAME: 'a/b' }, '{}', 4, 'interface name is invalid'],
    [{ CNI_COMMAND: 'STATUS' }, '{', 6, 'the network configuration is no JSON'],
    [{ CNI_COMMAND: 'STATUS' }, '{"cniVersion":"9.0.0","name":"x"}', 1, 'incompatible CNI versions'],
    [{ CNI_COMMAND: 'STATUS' }, '{"cniVersion":"1.0.0","name":"a b"}', 7, 'invalid network name'],
  ])('%j with %s is refused', async (env, input, code, msg) => {
    const answer = await runPlugin(ours, env, input);
    expect(answer.code).toBe(1);
    expect(JSON.parse(answer.stdout)).toMatchObject({ code, msg });
  });

  test('a namespace that is none leaves nothing behind', async () => {
    const { code, result } = await cni(environment('ADD', 'a', '/etc/hostname'), configuration());
    expect([code, result.msg]).toEqual([1, '/etc/hostname is no network namespace']);
    expect(await networkd.controller.listSandboxes()).toEqual([]);
  });

  test('attachments live through the death of networkd', async () => {
    const path = namespace('a');
    await cni(environment('ADD', 'a', path), configuration());
    await networkd.kill();
    expect(await reaches(path, '10.40.0.1')).toBe(true);
    networkd.start();
    expect(await networkd.controller.listSandboxes()).toHaveLength(1);
    await cni(environment('DEL', 'a', path), configuration());
    expect(await host.run(path, 'ip', '-br', 'link')).not.toContain('eth0');
  });

  test("before Debian's plugins in a chain: tuning and portmap go on from our result", async () => {
    const path = namespace('a');
    const env = environment('ADD', 'a', path);
    const first = await cni(env, configuration({ cniVersion: '1.0.0' }));
    const tuning = {
      cniVersion: '1.0.0',
      name: 'pods',
      type: 'tuning',
      sysctl: { 'net.ipv4.conf.eth0.log_martians': '1' },
      prevResult: first.result,
    };
    const second = await runPlugin(['/usr/lib/cni/tuning'], env, JSON.stringify(tuning));
    expect(JSON.parse(second.stdout)).toMatchObject({ ips: first.result.ips });
    const runtimeConfig = { portMappings: [{ hostPort: 8090, containerPort: 80, protocol: 'tcp' }] };
    const portmap = { cniVersion: '1.0.0', name: 'pods', type: 'portmap', runtimeConfig, prevResult: first.result };
    expect(await runPlugin(['/usr/lib/cni/portmap'], env, JSON.stringify(portmap))).toMatchObject({ code: 0 });
    expect(await host.run(host.namespace, 'iptables', '-t', 'nat', '-S')).toContain('8090');
    expect(await host.run(path, 'cat', '/proc/sys/net/ipv4/conf/eth0/log_martians')).toBe('1');
  });
});
