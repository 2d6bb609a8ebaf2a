/** The small grammars of the API: versions, filters, times, detach keys, signals, ports, names. */
import { describe, expect, it } from 'vitest';
import { goFileMode } from '../containers/archive.ts';
import { DetachScanner, parseDetachKeys } from '../containers/detach-keys.ts';
import { nextHealth } from '../containers/health.ts';
import { fixedTime } from '../containers/logs.ts';
import { checkContainerName, generateName } from '../containers/names.ts';
import { parsePortSpec } from '../containers/ports.ts';
import { nextDelayMs } from '../containers/restart-policy.ts';
import { parseSignal } from '../containers/signals.ts';
import { parsePs } from '../containers/top.ts';
import { matchesReference } from '../images/list.ts';
import { progressBar } from '../images/progress-lines.ts';
import { matchesLabels, parseApiFilters } from './filters.ts';
import { parseInstant } from './times.ts';
import { effectiveVersion, splitVersion } from './version.ts';

describe('versions', () => {
  it('splits the prefix off', () => {
    expect(splitVersion('/v1.41/info?x=1')).toEqual({ path: '/info?x=1', version: '1.41' });
    expect(splitVersion('/version')).toEqual({ path: '/version', version: undefined });
  });
  it('serves 1.22 with the semantics of 1.24', () => {
    expect(effectiveVersion('1.22')).toBe('1.24');
    expect(effectiveVersion(undefined)).toBe('1.50');
    expect(() => effectiveVersion('1.99')).toThrow(
      'client version 1.99 is too new. Maximum supported API version is 1.50',
    );
    expect(() => effectiveVersion('1.11')).toThrow(
      'client version 1.11 is too old. Minimum supported API version is 1.24, please upgrade',
    );
  });
});

describe('filters', () => {
  it('reads both forms', () => {
    expect(parseApiFilters('{"label":{"a=b":true,"c":true}}', ['label'])).toEqual(new Map([['label', ['a=b', 'c']]]));
    expect(parseApiFilters('{"label":["a=b"]}', ['label'])).toEqual(new Map([['label', ['a=b']]]));
  });
  it('refuses unknown keys and bad JSON', () => {
    expect(() => parseApiFilters('{"foo":["x"]}', ['label'])).toThrow("invalid filter 'foo'");
    expect(() => parseApiFilters('{', ['label'])).toThrow('invalid filter');
  });
  it('wants all labels and none of the negated', () => {
    const labels = { a: 'b', c: '' };
    expect(matchesLabels(new Map([['label', ['a=b', 'c']]]), labels)).toBe(true);
    expect(matchesLabels(new Map([['label', ['a=x']]]), labels)).toBe(false);
    expect(matchesLabels(new Map([['label!', ['c']]]), labels)).toBe(false);
  });
});

describe('instants', () => {
  const now = 1_000_000_000_000_000_000n;
  it.each([
    ['', undefined],
    ['0', undefined],
    ['1795185541', 1_795_185_541_000_000_000n],
    ['1.5', 1_500_000_000n],
    ['2026-01-01T00:00:00Z', 1_767_225_600_000_000_000n],
    ['2026-01-01T00:00:00.123456789Z', 1_767_225_600_123_456_789n],
    ['10m', now - 600_000_000_000n],
  ])('%s', (text, expected) => {
    expect(parseInstant(text, now)).toBe(expected);
  });
  it('refuses the rest', () => {
    expect(() => parseInstant('yesterday', now)).toThrow('failed to parse value as time or duration: "yesterday"');
  });
});

describe('detach keys', () => {
  it('reads names and characters', () => {
    expect([...parseDetachKeys('ctrl-p,ctrl-q')]).toEqual([16, 17]);
    expect([...parseDetachKeys('a,ctrl-@,ctrl-[')]).toEqual([97, 0, 27]);
    expect(() => parseDetachKeys('ctrl-1')).toThrow('Invalid escape keys (ctrl-1) provided');
  });
  it('finds the sequence across chunks and hands broken ones on', () => {
    const scanner = new DetachScanner(parseDetachKeys('ctrl-p,ctrl-q'));
    expect(scanner.push(Buffer.from([97, 16]))).toEqual({ bytes: Buffer.from([97]), isDetached: false });
    expect(scanner.push(Buffer.from([98]))).toEqual({ bytes: Buffer.from([16, 98]), isDetached: false });
    expect(scanner.push(Buffer.from([16]))).toEqual({ bytes: Buffer.alloc(0), isDetached: false });
    expect(scanner.push(Buffer.from([17, 99]))).toEqual({ bytes: Buffer.alloc(0), isDetached: true });
  });
});

it.each([
  ['KILL', 9],
  ['SIGTERM', 15],
  ['usr1', 10],
  ['28', 28],
  ['RTMIN+3', 37],
  ['RTMAX-1', 63],
])('signal %s is %d', (text, number) => {
  expect(parseSignal(text)).toBe(number);
});
it.each(['FOO', '0', '65', '', 'RTMIN+99'])('signal %j is none', (text) => {
  expect(() => parseSignal(text)).toThrow(`Invalid signal: ${text}`);
});

it('reads port ranges', () => {
  expect(parsePortSpec('8000-8002/UDP')).toEqual([8000, 8001, 8002].map((port) => ({ port, protocol: 'udp' })));
  expect(() => parsePortSpec('80/icmp')).toThrow('invalid proto: icmp');
});

it('checks and makes names', () => {
  expect(checkContainerName('/a.b-c_d')).toBe('a.b-c_d');
  for (const bad of ['a', 'a/b', '-x', ''])
    expect(() => checkContainerName(bad)).toThrow(
      `Invalid container name (${bad}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  let asked = 0;
  expect(generateName(() => ++asked < 8)).toMatch(/^[a-z]+_[a-z]+\d+$/);
});

it('doubles the restart delay up to a minute and begins anew after ten seconds', () => {
  let delay = 0;
  const delays = Array.from({ length: 12 }, () => (delay = nextDelayMs(delay, 10)));
  expect(delays.slice(0, 3)).toEqual([100, 200, 400]);
  expect(delays.at(-1)).toBe(60_000);
  expect(nextDelayMs(60_000, 10_000)).toBe(100);
});

describe('health', () => {
  const result = (ExitCode: number) => ({ Start: '', End: '', ExitCode, Output: '' });
  const starting = { Status: 'starting' as const, FailingStreak: 0, Log: [] };
  it('needs all retries to become unhealthy and one success to become healthy', () => {
    const once = nextHealth(starting, result(1), 2, false);
    expect(once).toMatchObject({ Status: 'starting', FailingStreak: 1 });
    expect(nextHealth(once, result(1), 2, false)).toMatchObject({ Status: 'unhealthy', FailingStreak: 2 });
    expect(nextHealth(once, result(0), 2, false)).toMatchObject({ Status: 'healthy', FailingStreak: 0 });
  });
  it('forgives failures in the start period only while starting', () => {
    expect(nextHealth(starting, result(1), 1, true)).toMatchObject({ Status: 'starting', FailingStreak: 0 });
    expect(nextHealth({ ...starting, Status: 'healthy' }, result(1), 1, true)).toMatchObject({ Status: 'unhealthy' });
  });
  it('keeps five results', () => {
    let health = nextHealth(starting, result(0), 3, false);
    for (let i = 0; i < 9; i++) health = nextHealth(health, result(0), 3, false);
    expect(health.Log.length).toBe(5);
  });
});

it('writes log times with nine digits', () => {
  expect(fixedTime('2026-01-01T00:00:00.5Z')).toBe('2026-01-01T00:00:00.500000000Z');
  expect(fixedTime('2026-01-01T00:00:00Z')).toBe('2026-01-01T00:00:00.000000000Z');
});

it('writes Go file modes', () => {
  expect(goFileMode(0o040755)).toBe(2147484141);
  expect(goFileMode(0o100644)).toBe(0o644);
  expect(goFileMode(0o041777)).toBe(2 ** 31 + 2 ** 20 + 0o777);
  expect(goFileMode(0o104755)).toBe(2 ** 23 + 0o755);
});

it('selects the lines of ps', () => {
  const text = 'UID   PID  CMD\nroot    1  init\nroot   42  sleep 10 20\n';
  expect(parsePs(text, new Set([42]))).toEqual({
    Titles: ['UID', 'PID', 'CMD'],
    Processes: [['root', '42', 'sleep 10 20']],
  });
  expect(() => parsePs('A B\n', new Set())).toThrow("Couldn't find PID field in ps output");
});

it('matches references by glob', () => {
  const name = 'docker.io/library/busybox:1.36';
  expect(['busybox', 'busy*', 'busybox:1.*', 'b?sybox'].map((pattern) => matchesReference(pattern, name))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  expect(['box', 'a/*', 'busybox:2'].map((pattern) => matchesReference(pattern, name))).toEqual([false, false, false]);
});

it('draws bars of fifty cells', () => {
  expect(progressBar(5e5, 1e6)).toBe(`[${'='.repeat(25)}>${' '.repeat(25)}]  500kB/1MB`);
  expect(progressBar(1e6, 1e6)).toBe(`[${'='.repeat(50)}>]  1MB/1MB`);
});
