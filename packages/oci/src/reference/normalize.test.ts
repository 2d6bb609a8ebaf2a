import { describe, expect, it } from 'vitest';
import { familiarName, familiarString, parseNormalizedNamed, tagNameOnly } from './normalize.ts';
import { formatReference } from './parse.ts';

const digest = `sha256:${'ab'.repeat(32)}`;

describe('familiar names', () => {
  it.each([
    ['busybox', 'docker.io/library/busybox', 'busybox'],
    ['busybox:1.36', 'docker.io/library/busybox:1.36', 'busybox:1.36'],
    ['a/b', 'docker.io/a/b', 'a/b'],
    ['index.docker.io/busybox', 'docker.io/library/busybox', 'busybox'],
    ['docker.io/library/busybox', 'docker.io/library/busybox', 'busybox'],
    ['localhost/x', 'localhost/x', 'localhost/x'],
    ['localhost:5000/x/y:z', 'localhost:5000/x/y:z', 'localhost:5000/x/y:z'],
    ['[::1]:5000/x', '[::1]:5000/x', '[::1]:5000/x'],
    ['Upper/x', 'Upper/x', 'Upper/x'],
    ['a.b/c__d/e--f', 'a.b/c__d/e--f', 'a.b/c__d/e--f'],
    [`busybox:t@${digest}`, `docker.io/library/busybox:t@${digest}`, `busybox:t@${digest}`],
  ])('%s is %s and is shown as %s', (text, full, familiar) => {
    const reference = parseNormalizedNamed(text);
    expect(formatReference(reference)).toBe(full);
    expect(familiarString(reference)).toBe(familiar);
    expect(formatReference(parseNormalizedNamed(familiar))).toBe(full);
  });

  it.each([
    ['', 'invalid reference format'],
    ['Busybox', 'invalid reference format: repository name must be lowercase'],
    ['a//b', 'invalid reference format'],
    ['-a', 'invalid reference format'],
    ['a:', 'invalid reference format'],
    ['a..b/C', 'invalid reference format: repository name must be lowercase'],
    ['a___b', 'invalid reference format'],
    [`a:${'t'.repeat(129)}`, 'invalid reference format'],
    ['ab'.repeat(32), `invalid repository name (${'ab'.repeat(32)}), cannot specify 64-byte hexadecimal strings`],
    ['a@sha256:12', 'invalid reference format'],
    ['x'.repeat(256), 'repository name must not be more than 255 characters'],
    ['a.b:99/..', 'invalid reference format'],
  ])('refuses %j', (text, message) => {
    expect(() => parseNormalizedNamed(text)).toThrow(message);
  });

  it('adds latest only to a bare name', () => {
    expect(familiarString(tagNameOnly(parseNormalizedNamed('x')))).toBe('x:latest');
    expect(familiarString(tagNameOnly(parseNormalizedNamed(`x@${digest}`)))).toBe(`x@${digest}`);
    expect(familiarName(parseNormalizedNamed('x:y'))).toBe('x');
  });

  it('answers long hostile input at once', () => {
    const started = performance.now();
    for (const text of ['a'.repeat(100_000), 'a-'.repeat(2000), `${'a.'.repeat(2000)}/`, `a${'/a'.repeat(2000)}!`]) {
      expect(() => parseNormalizedNamed(text)).toThrow();
    }
    expect(performance.now() - started).toBeLessThan(5000);
  });
});
