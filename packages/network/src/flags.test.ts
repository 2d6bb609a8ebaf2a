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
    [['--nosuch'], '--nosuch'],
  ])('%j is refused by name', (argv, text) => expect(() => parseFlags(argv)).toThrow(text));
});
