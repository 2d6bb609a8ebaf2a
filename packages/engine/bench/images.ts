/**
 * The three shapes of image that pulls are measured with, made of this host: a base system as distributions ship it, many small
 * files as language packages bring them, few large ones as models and binaries are.
 */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, lstatSync, mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Descriptor, digestOf, mediaTypes, parseDigest } from '@boxship/oci';

export const shapes = ['base', 'small', 'large'] as const;
export type Shape = (typeof shapes)[number];

const baseBytes = 210_000_000;
const baseEntries = 6_700;

/** Writes an OCI layout of one layer, tagged `t`, and returns its path. */
export async function makeShape(shape: Shape, directory: string): Promise<string> {
  const tree = join(directory, `${shape}-tree`);
  const layout = join(directory, shape);
  mkdirSync(tree, { recursive: true });
  mkdirSync(`${layout}/blobs/sha256`, { recursive: true });
  fill[shape](tree);
  const tar = join(directory, `${shape}.tar`);
  execFileSync('tar', ['-C', tree, '--sort=name', '--owner=0', '--group=0', '--mtime=@0', '-cf', tar, '.']);
  rmSync(tree, { recursive: true });
  const diffId = await digestOfFile(tar);
  execFileSync('gzip', ['-n', tar]);
  const layer = await digestOfFile(`${tar}.gz`);
  const { size } = statSync(`${tar}.gz`);
  renameSync(`${tar}.gz`, `${layout}/blobs/sha256/${layer.slice('sha256:'.length)}`);
  const put = (value: unknown, mediaType: string): Descriptor => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = digestOf(bytes);
    writeFileSync(`${layout}/blobs/sha256/${digest.slice('sha256:'.length)}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const rootfs = { type: 'layers', diff_ids: [diffId] };
  const config = put({ os: 'linux', architecture, config: {}, rootfs }, mediaTypes.ociConfig);
  const layers = [{ mediaType: mediaTypes.ociLayerGzip, digest: layer, size }];
  const manifest = put({ schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers }, mediaTypes.ociManifest);
  const tagged = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 't' } };
  writeFileSync(`${layout}/index.json`, JSON.stringify({ schemaVersion: 2, manifests: [tagged] }));
  writeFileSync(`${layout}/oci-layout`, '{"imageLayoutVersion": "1.0.0"}');
  return layout;
}

const fill: Readonly<Record<Shape, (tree: string) => void>> = {
  base(tree) {
    const found = execFileSync('find', ['/usr', '-xdev', '-type', 'f', '-size', '-16M'], { maxBuffer: 1e9 }).toString();
    const names = found
      .split('\n')
      .filter((name) => name !== '')
      .sort();
    const step = Math.max(1, Math.floor(names.length / baseEntries));
    const chosen: string[] = [];
    let bytes = 0;
    for (let at = 0; at < names.length && bytes < baseBytes; at += step) {
      const name = names[at] ?? '';
      bytes += lstatSync(name).size;
      chosen.push(name.slice(1));
    }
    writeFileSync(`${tree}.list`, chosen.join('\n'));
    execFileSync('sh', ['-c', `tar -C / -T ${tree}.list -cf - | tar -C ${tree} -xf -; rm ${tree}.list`]);
  },
  small(tree) {
    for (let at = 0; at < 50_000; at++) {
      const directory = join(tree, `d${Math.floor(at / 250)}`);
      if (at % 250 === 0) mkdirSync(directory);
      writeFileSync(join(directory, `f${at}`), halfRandom(4096));
    }
  },
  large(tree) {
    for (const name of ['one', 'two']) {
      const parts = Array.from({ length: 138 }, () => halfRandom(1_000_000));
      writeFileSync(join(tree, name), Buffer.concat(parts));
    }
  },
};

/** Compresses to about 40 %, as programs and libraries do. */
function halfRandom(size: number): Buffer {
  const random = Math.floor(size * 0.38);
  return Buffer.concat([randomBytes(random), Buffer.alloc(size - random, 'some text that repeats itself ')]);
}

async function digestOfFile(path: string) {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) hash.update(chunk as Buffer);
  return parseDigest(`sha256:${hash.digest('hex')}`);
}
