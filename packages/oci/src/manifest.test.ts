import { describe, expect, it } from 'vitest';
import { chainIds } from './chain-id.ts';
import { digestOf, parseDigest } from './digest.ts';
import { parseImageConfig } from './image-config.ts';
import { isAttestation, parseManifest } from './manifest.ts';
import { mediaTypes } from './media-types.ts';

const digest = `sha256:${'ab'.repeat(32)}`;
const descriptor = { mediaType: mediaTypes.ociConfig, digest, size: 2 };
const bytes = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

describe('digests', () => {
  it.each([
    'md5:abc',
    `sha256:${'AB'.repeat(32)}`,
    `sha256:${'a'.repeat(63)}`,
    'sha256:../../x',
    digest.slice(7),
    `${digest}0`,
  ])('refuses %s', (text) =>
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ kind: 'invalidArgument' })),
  );
  it('chains layers as the specification says', () => {
    const [a, b] = [digestOf('a'), digestOf('b')];
    expect(chainIds([a, b])).toEqual([a, digestOf(`${a} ${b}`)]);
  });
});

describe('manifests', () => {
  it('tells the kind by shape', () => {
    expect(parseManifest(bytes({ schemaVersion: 2, config: descriptor, layers: [] })).kind).toBe('manifest');
    expect(parseManifest(bytes({ schemaVersion: 2, manifests: [descriptor] })).kind).toBe('index');
    expect(parseManifest(bytes({ schemaVersion: 2, manifests: [] }), mediaTypes.ociIndex).kind).toBe('index');
  });
  it.each([
    [{ manifests: [], layers: [] }, '', 'ambiguous'],
    [{ manifests: [] }, mediaTypes.ociManifest, 'ambiguous'],
    [{ mediaType: mediaTypes.ociIndex, config: descriptor, layers: [] }, '', 'ambiguous'],
    [{ mediaType: mediaTypes.ociManifest, config: descriptor, layers: [] }, mediaTypes.dockerManifest, 'ambiguous'],
    [{ config: descriptor, layers: [null] }, '', 'layers[0]'],
    [{ config: { ...descriptor, digest: 'sha256:../../x' }, layers: [] }, '', 'digest'],
    [{ config: { ...descriptor, size: -1 }, layers: [] }, '', 'size'],
    [{ config: { ...descriptor, data: 'e30=' }, layers: [] }, '', 'does not match'],
    [{ schemaVersion: 1, fsLayers: [] }, '', 'schema 1 support has been removed'],
    [{}, 'application/vnd.cncf.helm.config.v1+json', 'unsupported media type application/vnd.cncf.helm.config.v1+json'],
    ['x', '', 'must be an object'],
  ])('refuses %j as %j', (document, type, message) => {
    expect(() => parseManifest(bytes(document), type)).toThrow(message);
  });
  it('refuses an oversized document before reading it', () => {
    expect(() => parseManifest(Buffer.alloc(4 * 1024 * 1024 + 1))).toThrow('larger than the limit');
  });
  it('knows attestations', () => {
    const index = parseManifest(
      bytes({ manifests: [{ ...descriptor, platform: { os: 'unknown', architecture: 'unknown' } }] }),
    );
    expect(index.kind === 'index' && index.manifests.map(isAttestation)).toEqual([true]);
  });
  it('reads configs with the nulls that Go writes', () => {
    const config = parseImageConfig(
      bytes({
        architecture: 'amd64',
        os: 'linux',
        config: { Cmd: ['sh'], Entrypoint: null },
        rootfs: { type: 'layers', diff_ids: [digest] },
      }),
    );
    expect(config.config).toEqual({ Cmd: ['sh'] });
    expect(() => parseImageConfig(bytes({ rootfs: { diff_ids: ['x'] } }))).toThrow('digest');
  });
});
