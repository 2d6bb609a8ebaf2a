import { describe, expect, test } from 'vitest';
import { interfaceSysctls, wantedInterfaceName } from './endpoint-options.ts';

const spec = (key: string, value: string) => ({
  network: 'n',
  driverOptions: { [`com.docker.network.endpoint.${key}`]: value },
});

describe('options of endpoints', () => {
  test('parameters name the interface by a placeholder', () => {
    expect(
      interfaceSysctls(spec('sysctls', 'net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.conf.IFNAME.mtu=1300'), 'a.7'),
    ).toEqual([
      { path: 'net/ipv4/conf/a.7/log_martians', value: '1' },
      { path: 'net/ipv6/conf/a.7/mtu', value: '1300' },
    ]);
    expect(interfaceSysctls({ network: 'n' }, 'eth0')).toEqual([]);
  });

  test.each([
    'net.ipv4.conf.all.forwarding=1',
    'net.ipv4.conf.eth0.forwarding=1',
    'net.ipv4.ip_forward=1',
    'kernel.conf.x.IFNAME.y=1',
    'net.ipv4.conf.IFNAME.log_martians',
    'net.ipv4.conf.IFNAME.../../x=1',
    'net.ipv4.co/nf.IFNAME.x=1',
    'net.ipv4.conf.IFNAME.x=1 2',
    ',',
  ])('%j is refused', (text) => {
    expect(() => interfaceSysctls(spec('sysctls', text), 'eth0')).toThrow('is not of the form');
  });

  test('names of interfaces are checked', () => {
    expect(wantedInterfaceName(spec('ifname', 'lan.7'))).toBe('lan.7');
    expect(() => wantedInterfaceName(spec('ifname', 'x;reboot'))).toThrow('invalid interface name');
  });
});
