/** The notations of `run` and `create`: ports, mounts, environment, references, filters. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readKeyValueFile, resolveEnv, toMap } from './env.ts';
import { parseFilterFlags } from './filters.ts';
import { parseMount, parseTmpfs, parseVolumes } from './mounts.ts';
import { parsePorts } from './ports.ts';
import { splitReference } from './reference.ts';

describe('-p', () => {
  const one = (text: string) =>
    Object.entries(parsePorts([text], []).bindings).map(
      ([key, [binding]]) => `${binding?.HostIp} ${binding?.HostPort} ${key}`,
    );
  it.each([
    ['80', ['  80/tcp']],
    ['8080:80', [' 8080 80/tcp']],
    ['8080:80/UDP', [' 8080 80/udp']],
    ['127.0.0.1:8080:80', ['127.0.0.1 8080 80/tcp']],
    ['127.0.0.1::80', ['127.0.0.1  80/tcp']],
    ['[::1]:8080:80', ['::1 8080 80/tcp']],
    ['8080-8081:80-81', [' 8080 80/tcp', ' 8081 81/tcp']],
    ['8080-8090:80', [' 8080-8090 80/tcp']],
    ['7000-7001', ['  7000/tcp', '  7001/tcp']],
  ])('%s', (text, expected) => {
    expect(one(text)).toEqual(expected);
  });
  it.each([
    ['80/xyz', 'invalid proto: xyz'],
    ['99999:80', 'invalid hostPort: 99999'],
    ['8080:http', 'invalid containerPort: http'],
    ['82-80', 'invalid range specified for port: 82-80'],
    ['8080-8082:80-81', 'invalid ranges specified for container and host Ports: 80-81 and 8080-8082'],
    ['localhost:8080:80', 'invalid IP address: localhost'],
  ])('%s is refused', (text, message) => {
    expect(() => parsePorts([text], [])).toThrow(message);
  });
  it('collects several bindings of one port, and what is only exposed', () => {
    const { bindings, exposed } = parsePorts(['1:80', '2:80'], ['53/UDP', '90-91']);
    expect(bindings['80/tcp']?.map(({ HostPort }) => HostPort)).toEqual(['1', '2']);
    expect(Object.keys(exposed)).toEqual(['53/udp', '90/tcp', '91/tcp', '80/tcp']);
  });
});

describe('mounts', () => {
  it('-v: anonymous volumes, names, paths made absolute', () => {
    expect(parseVolumes(['/data', 'name:/data:ro', '/a:/b', './c:/d'])).toEqual({
      volumes: { '/data': {} },
      binds: ['name:/data:ro', '/a:/b', `${resolve('c')}:/d`],
    });
    expect(() => parseVolumes([''])).toThrow('invalid empty volume spec');
  });
  it('--tmpfs', () => {
    expect(parseTmpfs(['/a', '/b:size=1m,mode=700'])).toEqual({ '/a': '', '/b': 'size=1m,mode=700' });
  });
  it.each([
    ['type=bind,src=/a,dst=/b,ro', { Type: 'bind', Source: '/a', Target: '/b', ReadOnly: true }],
    ['src=v,target=/b,readonly=false', { Type: 'volume', Source: 'v', Target: '/b', ReadOnly: false }],
    [
      'type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=1770',
      { Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 1_048_576, Mode: 0o1770 } },
    ],
    [
      'type=bind,source=/a,target=/b,bind-propagation=RSLAVE',
      { Type: 'bind', Source: '/a', Target: '/b', BindOptions: { Propagation: 'rslave' } },
    ],
    [
      'dst=/v,volume-driver=local,volume-opt=type=nfs,volume-label=a=b,volume-nocopy',
      {
        Type: 'volume',
        Target: '/v',
        VolumeOptions: { NoCopy: true, Labels: { a: 'b' }, DriverConfig: { Name: 'local', Options: { type: 'nfs' } } },
      },
    ],
  ])('--mount %s', (text, expected) => {
    expect(parseMount(text)).toEqual(expected);
  });
  it.each([
    ['type=bind,src=/a', 'target is required'],
    ['type', "invalid field 'type' must be a key=value pair"],
    ['dst=/a,colour=red', "unexpected key 'colour' in 'colour=red'"],
    ['type=bind,src=/a,dst=/b,volume-nocopy', "cannot mix 'volume-*' options with mount type 'bind'"],
    ['dst=/a,ro=perhaps', 'invalid value for ro: perhaps'],
  ])('--mount %s is refused', (text, message) => {
    expect(() => parseMount(text)).toThrow(message);
  });
});

describe('environment', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync('/tmp/cli-env-');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  it('takes values as they are, and our own for a name alone', () => {
    process.env['BOXSHIP_CLI_TEST'] = 'own';
    expect(resolveEnv(['A=1', 'B=', 'BOXSHIP_CLI_TEST', 'NOT_SET_ANYWHERE'])).toEqual([
      'A=1',
      'B=',
      'BOXSHIP_CLI_TEST=own',
    ]);
    delete process.env['BOXSHIP_CLI_TEST'];
    expect(() => resolveEnv(['=x'])).toThrow('invalid environment variable: =x');
  });
  it('reads files: comments, names alone, nothing unquoted', () => {
    const path = join(directory, 'env');
    writeFileSync(path, '\uFEFF# comment\r\n\r\nA="quoted"\r\n  B=x=y\r\nC\r\nD\r\n');
    expect(readKeyValueFile(path, (name) => (name === 'C' ? 'looked up' : undefined))).toEqual([
      'A="quoted"',
      'B=x=y',
      'C=looked up',
    ]);
    writeFileSync(path, 'a b=c\n');
    expect(() => readKeyValueFile(path, () => undefined)).toThrow("variable 'a b' contains whitespaces");
    expect(() => readKeyValueFile(join(directory, 'no'), () => undefined)).toThrow('no such file or directory');
  });
  it('labels: a key alone is empty', () => {
    expect(toMap(['a=b=c', 'd'])).toEqual({ a: 'b=c', d: '' });
  });
});

it.each([
  ['busybox', 'busybox', undefined, 'busybox:latest'],
  ['busybox:1', 'busybox', '1', 'busybox:1'],
  ['host:5000/a/b', 'host:5000/a/b', undefined, 'host:5000/a/b:latest'],
  ['host:5000/a/b:2', 'host:5000/a/b', '2', 'host:5000/a/b:2'],
  ['a@sha256:00', 'a', 'sha256:00', 'a@sha256:00'],
])('reference %s', (text, name, tag, shown) => {
  expect(splitReference(text)).toEqual({ name, tag, shown });
});

it('filters are collected by key', () => {
  expect(parseFilterFlags(['status=running', 'Status=exited', 'label=a=b'])).toEqual({
    status: { running: true, exited: true },
    label: { 'a=b': true },
  });
  expect(() => parseFilterFlags(['status'])).toThrow('bad format of filter (expected name=value)');
});
