/** A registry with one image, whose one layer has no files: all that a pull asks for, in the process whose calls are traced. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Digest, digestOf, hostPlatform, mediaTypes } from '@boxship/oci';

export interface OneImageRegistry extends AsyncDisposable {
  readonly reference: string;
  readonly manifest: Digest;
}

/** @param layerBytes a multiple of 512: another number makes another image */
export async function serveOneImage(layerBytes: number): Promise<OneImageRegistry> {
  const blobs = new Map<string, Buffer>();
  const keep = (bytes: Buffer, mediaType: string) => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));
  const layer = keep(Buffer.alloc(layerBytes), mediaTypes.ociLayer); // zeros end an archive
  const { os, architecture } = hostPlatform();
  const rootfs = { type: 'layers', diff_ids: [layer.digest] };
  const config = keep(json({ os, architecture, config: {}, rootfs }), mediaTypes.ociConfig);
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
  const manifest = keep(json(document), mediaTypes.ociManifest);
  const server = createServer(({ method, url = '' }, response) => {
    const name = url.split('/').at(-1) ?? '';
    const bytes = blobs.get(name === 'latest' ? manifest.digest : name);
    const isManifest = url.includes('/manifests/');
    if (bytes === undefined) response.writeHead(url === '/v2/' ? 200 : 404).end();
    else {
      const type = isManifest ? manifest.mediaType : 'application/octet-stream';
      response.writeHead(200, {
        'content-type': type,
        'content-length': bytes.length,
        'docker-content-digest': digestOf(bytes),
      });
      response.end(method === 'HEAD' ? undefined : bytes);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    reference: `127.0.0.1:${(server.address() as AddressInfo).port}/crash:latest`,
    manifest: manifest.digest,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
