import { describe, expect, it } from 'vitest';
import { parseChallenges } from './challenge.ts';
import { registryError } from './errors.ts';
import { configureHosts } from './host-config.ts';
import { hostName, insecureMatcher, isLoopbackHost } from './hosts.ts';
import { isInnerAddress } from './transport.ts';

describe('hosts', () => {
  it('trusts loopback and what is listed', () => {
    const isInsecure = insecureMatcher(['reg.lan:5000', 'plain.lan', '10.1.0.0/16', 'fd00::/8']);
    for (const host of [
      '127.0.0.1:5000',
      '127.9.9.9',
      'localhost',
      'localhost:1',
      '[::1]:5000',
      'reg.lan:5000',
      'plain.lan:99',
      '10.1.2.3:5000',
      '[fd00::1]',
    ])
      expect(isInsecure(host), host).toBe(true);
    for (const host of [
      'reg.lan',
      'reg.lan:5001',
      '10.2.0.1',
      'docker.io',
      '127.evil.com',
      'localhost.evil.com',
      '[fe80::1]',
    ])
      expect(isInsecure(host), host).toBe(false);
    expect(() => insecureMatcher(['10.1.0.0/x'])).toThrow('no network');
  });
  it('reads names out of hosts', () => {
    expect(['a:1', '[::1]:2', '::1', 'a'].map(hostName)).toEqual(['a', '::1', '::1', 'a']);
    expect(isLoopbackHost('127.0.0.1.nip.io')).toBe(false);
    expect(['10.0.0.1', '127.0.0.1', '::1', '::ffff:192.168.0.1', '8.8.8.8', 'name'].map(isInnerAddress)).toEqual([
      true,
      true,
      true,
      true,
      false,
      false,
    ]);
  });
  it('knows Docker Hub by its other name', async () => {
    const [hub] = await configureHosts()('docker.io');
    expect(hub).toMatchObject({
      scheme: 'https',
      host: 'registry-1.docker.io',
      mayFallBackToHttp: false,
      tls: { isVerified: true },
    });
    const [plain] = await configureHosts({ isPlainHttp: true })('reg.lan:5000');
    expect(plain).toMatchObject({ scheme: 'http', host: 'reg.lan:5000' });
  });
});

describe('challenges', () => {
  it('reads one or several', () => {
    expect(
      parseChallenges('Bearer realm="https://a/token?x=1,2",service="s \\"q\\"", scope="repository:a/b:pull,push"'),
    ).toEqual([
      {
        scheme: 'bearer',
        parameters: { realm: 'https://a/token?x=1,2', service: 's "q"', scope: 'repository:a/b:pull,push' },
      },
    ]);
    expect(parseChallenges('Basic realm=plain, Bearer realm="x"').map(({ scheme }) => scheme)).toEqual([
      'basic',
      'bearer',
    ]);
    expect(parseChallenges('')).toEqual([]);
    expect(parseChallenges('"'.repeat(20_000))).toEqual([]);
  });
});

describe('refusals', () => {
  it.each([
    [
      404,
      '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}',
      'notFound',
      'manifest unknown: manifest unknown',
    ],
    [429, '{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}', 'unavailable', 'toomanyrequests: slow down'],
    [401, '', 'unauthenticated', 'unauthorized: authentication required'],
    [
      401,
      '{"details":"incorrect username or password"}',
      'unauthenticated',
      'unauthorized: incorrect username or password',
    ],
    [403, '<html>', 'permissionDenied', 'denied: requested access to the resource is denied'],
    [503, '<html>', 'unavailable', 'received unexpected HTTP status: 503 Service Unavailable'],
    [418, 'null', 'unknown', "received unexpected HTTP status: 418 I'm a Teapot"],
  ])('%i %s', (status, body, kind, message) => {
    expect(registryError(status, body, 'GET /')).toMatchObject({ kind, message });
  });
});
