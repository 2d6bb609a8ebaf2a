import { describe, expect, test } from 'vitest';
import type { Network } from '../controller.ts';
import { AddressAllocator, defaultGateway } from './addresses.ts';

const network = { id: 'n', spec: { name: 'net' } } as Network;

describe('addresses of endpoints', () => {
  test('the lowest free one; those released just now only when nothing else is left', () => {
    const allocator = new AddressAllocator();
    const pool = { subnet: '10.0.0.0/29', gateway: '10.0.0.1', auxAddresses: { router: '10.0.0.3' } };
    const used = new Set<string>();
    const next = (): string => {
      const address = allocator.choose({ id: network.id, name: network.spec.name }, pool, used);
      used.add(address);
      return address;
    };
    expect([next(), next()]).toEqual(['10.0.0.2', '10.0.0.4']);
    used.delete('10.0.0.2');
    allocator.release('n', '10.0.0.2', '');
    expect([next(), next(), next()]).toEqual(['10.0.0.5', '10.0.0.6', '10.0.0.2']);
    expect(next).toThrow("no available IPv4 addresses on this network's address pools: net (n)");
  });

  test('a range limits the choice, not what may be asked for', () => {
    const allocator = new AddressAllocator();
    const pool = { subnet: '10.1.0.0/16', ipRange: '10.1.5.0/30', gateway: '10.1.0.1' };
    expect(allocator.choose({ id: network.id, name: network.spec.name }, pool, new Set())).toBe('10.1.5.0');
    expect(allocator.claim(pool, '10.1.9.9', new Set())).toBe('10.1.9.9');
    expect(() => allocator.claim(pool, '10.2.0.1', new Set())).toThrow('It does not belong to any of this network');
    expect(() => allocator.claim(pool, '10.1.0.1', new Set())).toThrow('Address already in use');
  });

  test('the gateway is the first address that is not reserved', () => {
    expect(defaultGateway({ subnet: '10.1.0.0/24' })).toBe('10.1.0.1');
    expect(defaultGateway({ subnet: '10.1.0.0/24', auxAddresses: { a: '10.1.0.1' } })).toBe('10.1.0.2');
    expect(defaultGateway({ subnet: 'fd00::/64' })).toBe('fd00::1');
  });
});
