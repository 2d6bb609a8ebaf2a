import { describe, expect, test } from 'vitest';
import { checkPools, chooseSubnet } from './pools.ts';
import { formatPrefix, type Prefix, parsePrefix } from './prefix.ts';

const choose = (family: 4 | 6, taken: readonly Prefix[], pools?: { base: string; size: number }[]): string =>
  formatPrefix(chooseSubnet({ family, pools, taken, hostId: 'a host' }));

describe('choosing a subnet', () => {
  test("goes through Docker's 31 networks and has more after them", () => {
    const taken: Prefix[] = [];
    const chosen = Array.from({ length: 33 }, () => {
      const subnet = choose(4, taken);
      taken.push(parsePrefix(subnet));
      return subnet;
    });
    expect(chosen.slice(0, 2)).toEqual(['172.17.0.0/16', '172.18.0.0/16']);
    expect(chosen[14]).toBe('172.31.0.0/16');
    expect(chosen[15]).toBe('192.168.0.0/20');
    expect(chosen[30]).toBe('192.168.240.0/20');
    expect(chosen[31]).toBe('10.192.0.0/24');
  });

  test('ends with configured pools, in the words of Docker', () => {
    const pools = [{ base: '10.9.0.0/24', size: 25 }];
    const taken = ['10.9.0.0/25', '10.9.0.128/25'].map(parsePrefix);
    expect(choose(4, taken.slice(0, 1), pools)).toBe('10.9.0.128/25');
    expect(() => choose(4, taken, pools)).toThrow('all predefined address pools have been fully subnetted');
  });

  test('IPv6 without pools is a unique local prefix of this host', () => {
    const first = choose(6, []);
    expect(first).toMatch(/^fd[0-9a-f]{2}:[0-9a-f]{1,4}:[0-9a-f]{1,4}::\/64$/);
    expect(choose(6, [])).toBe(first);
    expect(choose(6, [parsePrefix(first)])).toBe(first.replace('::', ':1::'));
  });

  test('malformed pools are refused', () => {
    expect(() => checkPools([{ base: '10.0.0.0/16', size: 8 }])).toThrow('invalid default address pool');
    expect(() => checkPools([{ base: 'nonsense', size: 24 }])).toThrow('invalid CIDR address');
  });
});
