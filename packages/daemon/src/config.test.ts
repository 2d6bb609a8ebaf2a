import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseDaemonConfig } from './config.ts';

const directory = mkdtempSync('/tmp/boxshipd-config-');
afterAll(() => rmSync(directory, { recursive: true }));
const file = (content: object | string) => {
  const path = join(directory, 'daemon.json');
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};
const parse = (content: object | string, ...flags: readonly string[]) =>
  parseDaemonConfig(['--config-file', file(content), ...flags], { loggerPath: '/l' });

describe('parseDaemonConfig', () => {
  it('reads flags as dockerd takes them', () => {
    const config = parse(
      {},
      '-H',
      'unix:///a',
      '-H',
      'tcp://127.0.0.1:2375',
      '--insecure-tcp-i-understand',
      '--storage-driver=overlay2',
      '--live-restore=false',
      '--debug=true',
      '--log-opt',
      'max-size=1m',
      '--default-ulimit',
      'nofile=10:20',
    );
    expect(config).toMatchObject({
      hosts: ['unix:///a', 'tcp://127.0.0.1:2375'],
      snapshotter: 'overlayfs',
      isLiveRestore: false,
      logLevel: 'debug',
      logOptions: { 'max-size': '1m' },
      defaultUlimits: { nofile: { soft: 10, hard: 20 } },
    });
  });

  it('reads daemon.json with its plurals', () => {
    expect(
      parse({
        hosts: ['unix:///b'],
        'insecure-registries': ['r:5000'],
        'log-opts': { 'max-file': '3' },
        runtimes: { crun: { path: '/usr/bin/crun' } },
        'default-ulimits': { nofile: { Name: 'nofile', Soft: 1, Hard: 2 } },
      }),
    ).toMatchObject({
      hosts: ['unix:///b'],
      insecureRegistries: ['r:5000'],
      logOptions: { 'max-file': '3' },
      runtimes: { runc: 'runc', crun: '/usr/bin/crun' },
      defaultUlimits: { nofile: { soft: 1, hard: 2 } },
    });
  });

  it('passes on what concerns the network service, as flags of it', () => {
    const { networkFlags, hasDefaultBridge, warnings } = parse(
      {
        'default-address-pools': [{ base: '10.0.0.0/8', size: 24 }],
        ...{ mtu: 1400, 'fixed-cidr': '10.1.0.0/16' },
        ...{ 'cluster-store': 'etcd://e:2379', 'cluster-advertise': 'eth0', 'cluster-store-opts': { 'kv.path': 'x' } },
      },
      '--icc=false',
      '--ipv6',
      '--bridge=none',
    );
    expect(networkFlags).toEqual([
      '--mtu=1400',
      '--default-address-pool=base=10.0.0.0/8,size=24',
      '--bridge=none',
      '--fixed-cidr=10.1.0.0/16',
      '--icc=false',
      '--ipv6=true',
      '--cluster-store=etcd://e:2379',
      '--cluster-store-opt=kv.path=x',
      '--cluster-advertise=eth0',
    ]);
    expect([hasDefaultBridge, warnings]).toEqual([false, []]);
  });

  it('reads options of new networks, by driver', () => {
    const flags = ['--default-network-opt', 'bridge=a.b=1=2', '--default-network-opt=bridge=c='];
    expect(parse({}, ...flags).defaultNetworkOptions).toEqual({ bridge: { 'a.b': '1=2', c: '' } });
    const file = { 'default-network-opts': { macvlan: { parent: 'eth0' } } };
    expect(parse(file).defaultNetworkOptions).toEqual({ macvlan: { parent: 'eth0' } });
    expect(() => parse({}, '--default-network-opt', 'bridge')).toThrow('use DRIVER=KEY=VALUE');
  });

  it('reads the thin pool of devmapper, and no other option of the storage', () => {
    const config = parse({ 'storage-opts': ['dm.thinpooldev=/dev/mapper/pool', 'overlay2.size=1g'] });
    expect(config.thinPool).toBe('pool');
    expect(config.warnings).toEqual(['storage option "overlay2.size" has no effect here']);
    expect(parse({}, '--storage-opt', 'dm.thinpooldev=pool').thinPool).toBe('pool');
  });

  it('warns of what has no meaning and of what it does not know', () => {
    expect(parse({ experimental: true, whatever: 1 }).warnings).toEqual([
      'setting "experimental" has no effect here',
      'unknown setting "whatever" in the configuration file is ignored',
    ]);
  });

  it.each([
    [{ 'data-root': '/a' }, ['--data-root', '/b'], 'specified both as a flag and in the configuration file: data-root'],
    ['{', [], 'unable to configure the Docker daemon with file'],
    [{}, ['--nosuch'], '--nosuch'],
    [{}, ['-H', 'tcp://0.0.0.0:2375'], 'TCP without client certificates'],
    [{}, ['-H', 'tcp://0.0.0.0:2376', '--tls', '--tlscert', 'c', '--tlskey', 'k'], 'TCP without client certificates'],
    [{}, ['--tlsverify'], 'TLS needs --tlscert'],
    [{}, ['-H', 'http://x'], 'invalid host "http://x"'],
    [{}, ['--default-runtime', 'x'], "specified default runtime 'x' does not exist"],
    [{}, ['--log-level', 'loud'], 'invalid log level: loud'],
    [{}, ['--shutdown-timeout', 'soon'], 'invalid shutdown-timeout "soon"'],
    [{ 'default-shm-size': 'much' }, [], "invalid size: 'much'"],
  ])('refuses %j %j', (content, flags, text) => {
    expect(() => parse(content, ...flags)).toThrow(text);
  });
});
