import { describe, expect, it } from 'vitest';
import { mergeConfig, mergeEnv } from './merge-config.ts';

const id = 'ab'.repeat(32);
const image = {
  Env: ['PATH=/bin', 'A=image'],
  Entrypoint: ['/entry'],
  Cmd: ['default'],
  User: 'app',
  WorkingDir: '/srv',
  Labels: { from: 'image', 'containerd.io/restart.loguri': 'binary:///bin/sh' },
  ExposedPorts: { '80/tcp': {} },
  Volumes: { '/data': {} },
  StopSignal: 'SIGUSR1',
  Healthcheck: { Test: ['CMD', 'true'], Interval: 5e9 },
};

describe('mergeConfig', () => {
  it('takes the image where the request is silent, and never its reserved labels', () => {
    const config = mergeConfig({ Image: 'x' }, image, id);
    expect(config).toMatchObject({
      Hostname: 'abababababab',
      Entrypoint: ['/entry'],
      Cmd: ['default'],
      User: 'app',
      WorkingDir: '/srv',
      StopSignal: 'SIGUSR1',
      Volumes: { '/data': {} },
      ExposedPorts: { '80/tcp': {} },
    });
    expect(config.Labels).toEqual({ from: 'image' });
  });

  it("drops the image's command when an entry point is given; [''] clears it", () => {
    expect(mergeConfig({ Entrypoint: 'sh' }, image, id)).toMatchObject({ Entrypoint: ['sh'], Cmd: null });
    expect(mergeConfig({ Entrypoint: [''], Cmd: ['x'] }, image, id)).toMatchObject({ Entrypoint: null, Cmd: ['x'] });
    expect(mergeConfig({ Cmd: 'x' }, image, id)).toMatchObject({ Entrypoint: ['/entry'], Cmd: ['x'] });
  });

  it('puts the own environment first and fills up from the image', () => {
    expect(mergeConfig({ Env: ['A=own', 'B=1'] }, image, id).Env).toEqual(['A=own', 'B=1', 'PATH=/bin']);
  });

  it('merges a health check field by field', () => {
    expect(mergeConfig({ Healthcheck: { Retries: 5 } }, image, id).Healthcheck).toEqual({
      Test: ['CMD', 'true'],
      Interval: 5e9,
      Retries: 5,
    });
  });

  it.each([
    [{ WorkingDir: 'rel' }, "the working directory 'rel' is invalid, it needs to be an absolute path"],
    [{ WorkingDir: '/proc/self/fd/7' }, 'must not be in /proc'],
    [{ Env: ['=x'] }, 'invalid environment variable: =x'],
    [{ StopSignal: 'NOPE' }, 'Invalid signal: NOPE'],
    [{ Healthcheck: { Interval: 5 } }, 'Interval in Healthcheck cannot be less than 1ms'],
    [{ Cmd: ['a\0b'] }, 'Cmd[0] contains a NUL'],
    [{ Env: ['A=1', `B=${'x'.repeat(131_072)}`] }, 'Env[1] is longer than 131071 bytes'],
    [{ Hostname: 'a\nb' }, 'invalid hostname format: "a\\nb"'],
    [{ Hostname: 'a'.repeat(65) }, 'invalid hostname format'],
    [{ ExposedPorts: { 'x/tcp': {} } }, 'invalid port specification: "x/tcp"'],
  ])('refuses %j', (request, text) => {
    expect(() => mergeConfig(request, undefined, id)).toThrow(text);
  });
});

it('replaces an environment entry in its place', () => {
  expect(mergeEnv(['A=1', 'B=2'], ['A=3', 'C=4'])).toEqual(['A=3', 'B=2', 'C=4']);
});
