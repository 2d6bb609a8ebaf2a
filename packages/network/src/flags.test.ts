import { describe, expect, test } from 'vitest';
import { parseFlags } from './flags.ts';

describe('flags of boxship-networkd', () => {
  test('all of them', () => {
    expect(
      parseFlags(
        [
          '--address /s --root /r --exec-root /e --instance i --log-level debug --ip-forward=false',
          '--firewall-backend iptables --ip6tables=false --firewall-obeys-input=0',
          '--bip 10.1.0.1/16 --bridge br7 --mtu 1400 --fixed-cidr=10.1.2.0/24 --default-gateway 10.1.0.9 --icc=false',
          '--ipv6=true --fixed-cidr-v6 fd00::/64 --default-gateway-v6 fd00::9 --ip 127.0.0.1 --ip-masq=0',
          '--default-address-pool base=10.9.0.0/16,size=24 --host-gateway-ip 10.2.3.4',
          '--cluster-store etcd://a:1,[fd00::1]:2/x/y --cluster-advertise 10.0.0.1:2376',
          '--cluster-store-opt discovery.heartbeat=2',
        ]
          .join(' ')
          .split(' '),
      ),
    ).toEqual({
      address: '/s',
      root: '/r',
      execRoot: '/e',
      instance: 'i',
      defaultBridge: {
        name: 'br7',
        bip: '10.1.0.1/16',
        mtu: 1400,
        fixedCidr: '10.1.2.0/24',
        gateway: '10.1.0.9',
        enableIPv6: true,
        fixedCidrV6: 'fd00::/64',
        gatewayV6: 'fd00::9',
        isIccEnabled: false,
        isMasqueraded: false,
        hostBinding: '127.0.0.1',
      },
      hostGateway: '10.2.3.4',
      isForwarding: false,
      pluginSocket: undefined,
      pluginDirectories: undefined,
      firewall: { backend: 'iptables', hasIPv6: false, obeysInput: false },
      cluster: {
        etcd: { members: ['a:1', '[fd00::1]:2'], root: 'x/y/', tls: undefined },
        advertise: '10.0.0.1',
        heartbeatSeconds: 2,
        ttlSeconds: 6,
      },
      logLevel: 'debug',
      isPurge: false,
      defaultAddressPools: [{ base: '10.9.0.0/16', size: 24 }],
    });
  });

  test.each([
    [['--mtu', '12'], '--mtu 12'],
    [['--icc', 'maybe'], '--icc maybe'],
    [['--log-level', 'loud'], '--log-level loud'],
    [['--default-address-pool', '10.0.0.0/8'], 'base=CIDR,size=N is needed'],
    [['--firewall-backend', 'pf'], '--firewall-backend pf'],
    [['--cluster-store', 'etcd://a:1'], '--cluster-advertise are given together'],
    [['--cluster-store', 'consul://a:1', '--cluster-advertise', 'eth0'], 'etcd://HOST:PORT'],
    [['--cluster-store', 'etcd://a', '--cluster-advertise', 'eth0'], '"a" is not HOST:PORT'],
    [
      ['--cluster-store', 'etcd://a:1', '--cluster-advertise', 'e', '--cluster-store-opt', 'kv.certfile=/no'],
      '/no cannot',
    ],
    [['--cluster-store', 'etcd://a:1', '--cluster-advertise', 'e', '--cluster-store-opt', 'x=1'], 'x=1: KEY=TEXT'],
    [['--cluster-store', 'etcd://a:1', '--cluster-advertise', 'e', '--cluster-store-opt', 'discovery.ttl=1'], 'longer'],
    [['--nosuch'], '--nosuch'],
  ])('%j is refused by name', (argv, text) => expect(() => parseFlags(argv)).toThrow(text));
});
