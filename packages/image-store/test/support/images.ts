/** Images for tests: an OCI layout made by hand, and skopeo to carry it into a registry. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { type Descriptor, digestHex, digestOf, type ImageConfig, mediaTypes, type Platform } from '@boxship/oci';

export interface Layout extends Disposable {
  readonly path: string;
}

export interface ImageSpec {
  readonly platform: Platform;
  /** Names and contents per layer; a name that ends in / is a directory. */
  readonly layers: readonly Readonly<Record<string, string | Buffer>>[];
  readonly compression?: 'gzip' | 'zstd' | 'none';
}

/** A layout with an index of the images, tagged `t`, and an attestation-like entry as BuildKit adds it. */
export function makeLayout(images: readonly ImageSpec[], options: { isSingle?: boolean } = {}): Layout {
  const path = mkdtempSync(join(tmpdir(), 'layout-'));
  mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
  const put = (bytes: Buffer, mediaType: string): Descriptor => {
    const digest = digestOf(bytes);
    writeFileSync(join(path, 'blobs/sha256', digestHex(digest)), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: unknown, mediaType: string): Descriptor => put(Buffer.from(JSON.stringify(value)), mediaType);
  const manifests = images.map((image) => {
    const plain = image.layers.map((files) => tarOf(files));
    const config: ImageConfig = {
      created: '2024-01-02T03:04:05Z',
      ...image.platform,
      config: { Cmd: ['sh'], Env: ['PATH=/bin'] },
      rootfs: { type: 'layers', diff_ids: plain.map((bytes) => digestOf(bytes)) },
      history: plain.map((_, index) => ({ created: '2024-01-02T03:04:05Z', created_by: `layer ${index}` })),
    };
    const layers = plain.map((bytes) =>
      image.compression === 'zstd'
        ? put(zstdCompressSync(bytes), mediaTypes.ociLayerZstd)
        : image.compression === 'none'
          ? put(bytes, mediaTypes.ociLayer)
          : put(gzipSync(bytes), mediaTypes.ociLayerGzip),
    );
    const manifest = {
      schemaVersion: 2,
      mediaType: mediaTypes.ociManifest,
      config: json(config, mediaTypes.ociConfig),
      layers,
    };
    return { ...json(manifest, mediaTypes.ociManifest), platform: image.platform };
  });
  const top = options.isSingle
    ? (manifests[0] as Descriptor)
    : json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  const tagged = { ...top, annotations: { 'org.opencontainers.image.ref.name': 't' } };
  writeFileSync(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [tagged] }));
  writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion": "1.0.0"}');
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function tarOf(files: Readonly<Record<string, string | Buffer>>): Buffer {
  if (Object.keys(files).length === 0) return Buffer.alloc(1024); // tar(1) refuses to write this one
  const root = mkdtempSync(join(tmpdir(), 'layer-'));
  try {
    for (const [name, content] of Object.entries(files)) {
      if (name.endsWith('/')) mkdirSync(join(root, name), { recursive: true });
      else {
        mkdirSync(join(root, name, '..'), { recursive: true });
        writeFileSync(join(root, name), content);
      }
    }
    const names = execFileSync('ls', ['-A', root])
      .toString()
      .trim()
      .split('\n')
      .filter((name) => name !== '');
    return execFileSync(
      'tar',
      ['--sort=name', '--mtime=@1000', '--owner=0', '--group=0', '-cf', '-', '-C', root, '--', ...names],
      {
        maxBuffer: 1e9,
      },
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

/** Runs skopeo. */
export async function skopeo(...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('skopeo', args, { timeout: 60_000, maxBuffer: 1e8 });
  return stdout;
}

/** Carries a layout into a registry. */
export async function upload(layout: Layout, host: string, name: string, login?: string): Promise<void> {
  await skopeo(
    'copy',
    '--all',
    '--preserve-digests',
    '--dest-tls-verify=false',
    ...(login === undefined ? [] : ['--dest-creds', login]),
    `oci:${layout.path}:t`,
    `docker://${host}/${name}`,
  );
}
