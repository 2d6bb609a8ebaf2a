import { describe, expect, test } from 'vitest';
import { parseFlags } from './flags.ts';

describe('flags of boxship-networkd', () => {
  test('all of them', () => {
    expect(
      parseFlags(
        '--address /s --root /r --exec-root /e --instance i --bip 10.1.0.1/16 --bridge br7 --mtu 1400 --log-level debug --default-address-pool base=10.9.0.0/16,size=24'.split(
          ' ',
        ),
      ),
    ).toEqual({
      address: '/s',
      root: '/r',
      execRoot: '/e',
      instance: 'i',
      bip: '10.1.0.1/16',
      bridge: 'br7',
      mtu: 1400,
      logLevel: 'debug',
      isPurge: false,
      defaultAddressPools: [{ base: '10.9.0.0/16', size: 24 }],
    });
  });

  test.each([
    [['--mtu', '12'], '--mtu 12'],
    [['--log-level', 'loud'], '--log-level loud'],
    [['--default-address-pool', '10.0.0.0/8'], 'base=CIDR,size=N is needed'],
    [['--nosuch'], '--nosuch'],
  ])('%j is refused by name', (argv, text) => expect(() => parseFlags(argv)).toThrow(text));
});
