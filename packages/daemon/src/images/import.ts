/** Import: a tar of a root file system becomes an image of one layer. */
import { Readable } from 'node:stream';
import { BoxshipError, messageOf } from '@boxship/base';
import { remoteStores } from '@boxship/containerd-client';
import { importRoot, unpack } from '@boxship/image-store';
import {
  familiarString,
  formatReference,
  parseNormalizedNamed,
  parsePlatform,
  tagNameOnly,
  withTag,
} from '@boxship/oci';
import type { Exchange } from '../http/exchange.ts';
import { startStream } from '../http/json-stream.ts';
import type { Parts } from '../parts.ts';
import { applyChanges } from './change.ts';

const leaseMs = 3_600_000;

export async function importImage(parts: Parts, exchange: Exchange): Promise<void> {
  const { snapshotter: snapshotterName } = parts.config;
  const repo = exchange.text('repo');
  const parsed = repo === '' ? undefined : parseNormalizedNamed(repo);
  if (parsed?.digest !== undefined) throw new BoxshipError('invalidArgument', 'cannot import digest reference');
  const tag = exchange.text('tag');
  const reference = parsed === undefined ? undefined : tagNameOnly(tag === '' ? parsed : withTag(parsed, tag));
  const config = applyChanges({}, exchange.query.getAll('changes'));
  const platform = exchange.text('platform');
  const source = await sourceOf(exchange);
  const stream = startStream(exchange, 'application/json');
  try {
    const stores = remoteStores(parts.containerd, snapshotterName);
    const lease = await stores.leases.create({ expiresAt: new Date(Date.now() + leaseMs) });
    try {
      const imported = await importRoot({
        content: stores.content,
        source,
        config,
        comment: exchange.text('message') || `Imported from ${exchange.text('fromSrc')}`,
        lease: lease.id,
        ...(platform === '' ? {} : { platform: parsePlatform(platform) }),
      });
      const { manifest } = await parts.images.load(imported.target.digest);
      await unpack({
        content: stores.content,
        snapshotter: stores.snapshotter,
        snapshotterName,
        applier: stores.applier,
        config: imported.config,
        imageConfig: imported.imageConfig,
        layers: manifest.layers,
        lease: lease.id,
        log: parts.log,
      });
      // an image without a name is kept by a record that the list shows as <none>
      const name = reference === undefined ? `dangling@${imported.target.digest}` : formatReference(reference);
      const record = { name, target: imported.target, labels: {} };
      try {
        await stores.images.create(record);
      } catch (error) {
        if (!BoxshipError.is(error, 'alreadyExists')) throw error;
        await stores.images.update(record, ['target']);
      }
      const shown = reference === undefined ? imported.config.digest : familiarString(reference);
      parts.events.publish('image', 'import', imported.config.digest, { name: shown });
      await stream.json({ status: imported.config.digest });
    } finally {
      await stores.leases.delete(lease.id);
    }
  } catch (error) {
    const message = messageOf(error);
    await stream.json({ errorDetail: { message }, error: message });
  }
  stream.end();
}

/** The request's body, or what a URL gives. */
async function sourceOf(exchange: Exchange): Promise<AsyncIterable<Uint8Array>> {
  const from = exchange.text('fromSrc');
  if (from === '-') return exchange.request.raw as AsyncIterable<Uint8Array>;
  const url = /^https?:\/\//.test(from) ? from : `http://${from}`;
  const response = await fetch(url, { signal: exchange.signal });
  if (!response.ok || response.body === null)
    throw new BoxshipError('unknown', `import: ${url} answered ${response.status} ${response.statusText}`);
  return Readable.fromWeb(response.body as import('node:stream/web').ReadableStream) as AsyncIterable<Uint8Array>;
}
