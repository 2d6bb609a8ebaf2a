/** An image of two layers for two platforms as an OCI layout, the same bytes each time, and its way into a registry. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { type Descriptor, type Digest, digestHex, digestOf, type ImageConfig, mediaTypes } from '@boxship/oci';
import { busyboxTar } from './engine-under-test.ts';
import type { SandboxHost } from './sandbox-host.ts';

export interface TestImage {
  /** Path of the layout; its tag is `t`. */
  readonly layout: string;
  readonly index: Descriptor;
  /** Of linux/amd64. */
  readonly manifest: Descriptor;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly diffIds: readonly Digest[];
}

const created = '2024-01-02T03:04:05Z';

/** busybox, and above it a layer that adds, replaces and deletes. */
export function makeTestImage(host: SandboxHost): TestImage {
  const layout = host.path('layout');
  mkdirSync(`${layout}/blobs/sha256`, { recursive: true });
  const put = (bytes: Buffer, mediaType: string): Descriptor => {
    const digest = digestOf(bytes);
    writeFileSync(`${layout}/blobs/sha256/${digestHex(digest)}`, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: unknown, mediaType: string): Descriptor => put(Buffer.from(JSON.stringify(value)), mediaType);
  const upper = execFileSync('sh', [
    '-c',
    `set -e; d=$(mktemp -d); mkdir -p $d/etc $d/opt/data; echo upper > $d/etc/motd; touch $d/etc/.wh.group
     echo data > $d/opt/data/file; ln $d/opt/data/file $d/opt/data/again
     tar -C $d --sort=name --mtime=@1000 --owner=0 --group=0 --no-recursion -cf - etc etc/.wh.group etc/motd opt opt/data opt/data/again opt/data/file
     rm -rf $d`,
  ]);
  const plain = [readFileSync(busyboxTar(host)), upper];
  const layers = plain.map((bytes) => put(gzipSync(bytes, { level: 1 }), mediaTypes.ociLayerGzip));
  const diffIds = plain.map((bytes) => digestOf(bytes));
  const ofPlatform = (architecture: string): { manifest: Descriptor; config: Descriptor } => {
    const image: ImageConfig = {
      created,
      os: 'linux',
      architecture,
      config: { Cmd: ['sh'], Env: ['PATH=/bin', 'FROM_IMAGE=yes'], WorkingDir: '/tmp' },
      rootfs: { type: 'layers', diff_ids: diffIds },
      history: plain.map((_, at) => ({ created, created_by: `layer ${at}` })),
    };
    const config = json(image, mediaTypes.ociConfig);
    const manifest = json(
      { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers },
      mediaTypes.ociManifest,
    );
    return { manifest: { ...manifest, platform: { os: 'linux', architecture } }, config };
  };
  const own = ofPlatform(process.arch === 'x64' ? 'amd64' : process.arch);
  const manifests = [own.manifest, ofPlatform('s390x').manifest];
  const index = json({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
  const tagged = { ...index, annotations: { 'org.opencontainers.image.ref.name': 't' } };
  writeFileSync(`${layout}/index.json`, JSON.stringify({ schemaVersion: 2, manifests: [tagged] }));
  writeFileSync(`${layout}/oci-layout`, '{"imageLayoutVersion": "1.0.0"}');
  return { layout, index, ...own, layers, diffIds };
}

/** Carries the image into a registry by a foreign program, so that nothing of ours has touched what is pulled. */
export async function pushTestImage(host: SandboxHost, image: TestImage, name: string): Promise<void> {
  const policy = ['--insecure-policy', '--dest-tls-verify=false'];
  await host.must('skopeo', [
    'copy',
    '--all',
    '--preserve-digests',
    ...policy,
    `oci:${image.layout}:t`,
    `docker://${name}`,
  ]);
}
