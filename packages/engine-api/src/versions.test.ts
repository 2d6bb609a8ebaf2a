import { expect, it } from 'vitest';
import { apiAtLeast, compareApiVersions, negotiateApiVersion } from './versions.ts';

it('compares numerically', () => {
  expect(compareApiVersions('1.9', '1.24')).toBeLessThan(0);
  expect(apiAtLeast('1.44', '1.44')).toBe(true);
});

it('negotiates the smaller maximum, 1.24 with a silent server', () => {
  expect(negotiateApiVersion('1.41')).toBe('1.41');
  expect(negotiateApiVersion('1.99')).toBe('1.50');
  expect(negotiateApiVersion(undefined)).toBe('1.24');
});
