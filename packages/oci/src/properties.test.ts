/** Properties of every parser here: typed errors only, and what is accepted comes out as it went in. */
import { BoxshipError } from '@boxship/base';
import { describe, expect, it } from 'vitest';
import { isDigest, parseDigest } from './digest.ts';
import { parseImageConfig } from './image-config.ts';
import { parseManifest } from './manifest.ts';
import { formatPlatform, normalizePlatform, parsePlatform } from './platform.ts';
import { familiarString, parseNormalizedNamed } from './reference/normalize.ts';
import { formatReference, parseReference } from './reference/parse.ts';

function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Runs `work` on many mutations of the samples; gives how many were accepted. */
function mutate(samples: readonly string[], alphabet: string, rounds: number, work: (text: string) => void): number {
  let accepted = 0;
  for (let seed = 1; seed <= rounds; seed++) {
    const next = random(seed);
    const characters = [...(samples[next(samples.length)] ?? '')];
    for (let count = next(4); count > 0; count--) {
      const at = next(characters.length + 1);
      const character = alphabet[next(alphabet.length)] ?? '';
      if (next(3) === 0) characters.splice(at, 1);
      else if (next(2) === 0) characters.splice(at, 0, character);
      else characters[at] = character;
    }
    const text = characters.join('');
    try {
      work(text);
      accepted++;
    } catch (error) {
      if (!BoxshipError.is(error)) throw new Error(`seed ${seed}: ${JSON.stringify(text)}: ${error}`, { cause: error });
    }
  }
  return accepted;
}

const digest = `sha256:${'0a'.repeat(32)}`;

describe('parsers', () => {
  it('read references back as they were written', () => {
    const samples = [
      'busybox',
      'a/b:c',
      'localhost:5000/x/y:Tag_1.2',
      `docker.io/library/x@${digest}`,
      `r.io/x:t@${digest}`,
      '[::1]:80/x',
      'a__b/c--d/e.f',
    ];
    const accepted = mutate(samples, 'abcXYZ019._-/:@[]$ é', 20_000, (text) => {
      const reference = parseNormalizedNamed(text);
      const full = formatReference(reference);
      expect(parseNormalizedNamed(full)).toEqual(reference);
      expect(parseReference(full)).toEqual(reference);
      expect(formatReference(parseNormalizedNamed(familiarString(reference)))).toBe(full);
      expect(reference.path).toMatch(/^[a-z0-9][a-z0-9._/-]*$/);
      expect(reference.path.split('/')).not.toContain('..');
    });
    expect(accepted).toBeGreaterThan(2000);
  });

  it('accept digests that are safe in a path', () => {
    const accepted = mutate([digest, `sha512:${'ab'.repeat(64)}`], 'abcdef0123456789:/.%ABCXYZ', 10_000, (text) => {
      expect(parseDigest(text)).toBe(text);
      expect(isDigest(text)).toBe(true);
      expect(text).toMatch(/^sha(256|512):[0-9a-f]+$/);
    });
    expect(accepted).toBeGreaterThan(500);
  });

  it('normalise platforms once and for all', () => {
    mutate(
      ['linux/amd64', 'linux/arm/v7', 'linux/arm64/v8', 'arm64', 'windows(10.0)/amd64', 'linux'],
      'abclinuxrmdv0678/()._-',
      10_000,
      (text) => {
        const platform = parsePlatform(text);
        expect(normalizePlatform(platform)).toEqual(platform);
        expect(formatPlatform(platform).split('/').length).toBeLessThanOrEqual(3);
      },
    );
  });

  it('refuse documents of any damage by typed errors', () => {
    const descriptor = {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest,
      size: 2,
      platform: { os: 'linux', architecture: 'arm' },
    };
    const samples = [
      JSON.stringify({
        schemaVersion: 2,
        config: descriptor,
        layers: [descriptor, descriptor],
        annotations: { a: 'b' },
      }),
      JSON.stringify({ schemaVersion: 2, manifests: [descriptor], subject: descriptor }),
    ];
    mutate(samples, '"{}[],:0-9eanulltrue\\', 10_000, (text) => {
      const document = parseManifest(Buffer.from(text));
      const all = document.kind === 'index' ? document.manifests : [document.config, ...document.layers];
      for (const entry of all) {
        expect(isDigest(entry.digest)).toBe(true);
        expect(Number.isSafeInteger(entry.size)).toBe(true);
      }
    });
    const config = JSON.stringify({
      os: 'linux',
      config: { Env: ['A=b'], Labels: { a: 'b' } },
      rootfs: { diff_ids: [digest] },
      history: [{}],
    });
    mutate([config], '"{}[],:0-9eanulltrue\\', 10_000, (text) => {
      for (const diffId of parseImageConfig(Buffer.from(text)).rootfs.diff_ids) expect(isDigest(diffId)).toBe(true);
    });
  });
});
