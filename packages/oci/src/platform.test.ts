import { describe, expect, it } from 'vitest';
import { formatPlatform, hostPlatform, normalizePlatform, parsePlatform, selectPlatform } from './platform.ts';

const offered = [
  'linux/amd64',
  'unknown/unknown',
  'linux/arm64/v8',
  'linux/arm/v7',
  'linux/arm/v6',
  'linux/386',
  'windows/amd64',
].map((text) => {
  const [os = '', architecture = '', variant] = text.split('/');
  return { os, architecture, ...(variant === undefined ? {} : { variant }) };
});
const choose = (wanted: string): string | undefined => {
  const best = selectPlatform(parsePlatform(wanted), offered, (p) => p)[0];
  return best === undefined ? undefined : [best.os, best.architecture, best.variant].filter(Boolean).join('/');
};

describe('platforms', () => {
  // What the reference engine picks from the same index.
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/arm64', 'linux/arm64/v8'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/v8', 'linux/arm/v7'],
    ['linux/arm/v6', 'linux/arm/v6'],
    ['linux/386', 'linux/386'],
    ['linux/x86_64', 'linux/amd64'],
    ['linux/amd64/v3', undefined],
    ['linux/s390x', undefined],
    ['linux/arm/v5', undefined],
  ])('%s takes %s', (wanted, found) => expect(choose(wanted)).toBe(found));

  it('normalises aliases and default variants', () => {
    expect(formatPlatform(normalizePlatform({ os: 'Linux', architecture: 'aarch64', variant: 'v8' }))).toBe(
      'linux/arm64',
    );
    expect(formatPlatform(parsePlatform('linux/armhf'))).toBe('linux/arm/v7');
    expect(formatPlatform(parsePlatform('linux/amd64/v1'))).toBe('linux/amd64');
  });

  it('completes a bare os or architecture from the host', () => {
    expect(formatPlatform(parsePlatform('linux'))).toBe(formatPlatform(hostPlatform()));
    expect(parsePlatform('arm64')).toEqual({ os: hostPlatform().os, architecture: 'arm64' });
    expect(parsePlatform('windows(10.0.17763)/amd64')['os.version']).toBe('10.0.17763');
  });

  it.each(['bogus', 'a/b/c/d', 'linux/', 'lin ux/amd64'])('refuses %j', (text) => {
    expect(() => parsePlatform(text)).toThrow(expect.objectContaining({ kind: 'invalidArgument' }));
  });
});
