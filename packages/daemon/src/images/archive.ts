/** `docker save` and `docker load`. */
import { BoxshipError } from '@boxship/base';
import { remoteStores } from '@boxship/containerd-client';
import { exportImages, type ImageToExport, importImages, unpackTarget } from '@boxship/image-store';
import { familiarString, parseReference } from '@boxship/oci';
import type { Exchange } from '../http/exchange.ts';
import { sendTar } from '../http/routes/archive.ts';
import type { Parts } from '../parts.ts';
import { untaggedName } from './dangling.ts';
import { streamProgress } from './progress-stream.ts';
import { writeName } from './tag.ts';
import { targetDescriptor } from './target.ts';

const leaseMs = 3_600_000;

export async function saveImages(parts: Parts, exchange: Exchange, names: readonly string[]): Promise<void> {
  if (names.length === 0) throw new BoxshipError('invalidArgument', 'no images given');
  const images: ImageToExport[] = [];
  for (const name of names) {
    const entry = await parts.images.find(name);
    const isById =
      /^(?:sha256:)?[0-9a-f]+$/.test(name) &&
      !entry.names.some((known) => familiarString(parseReference(known)).startsWith(name));
    const asked = isById
      ? []
      : entry.names.filter((known) =>
          [known, familiarString(parseReference(known))].some((text) => text === name || text === `${name}:latest`),
        );
    const [first = ''] = entry.names;
    images.push({ target: await targetDescriptor(parts, asked[0] ?? first), names: asked });
  }
  const { content } = remoteStores(parts.containerd, parts.config.snapshotter);
  await sendTar(exchange, exportImages({ content, images, signal: exchange.signal }), () => ({}));
  for (const { names: saved } of images)
    for (const name of saved) parts.events.publish('image', 'save', name, { name });
}

export async function loadImages(parts: Parts, exchange: Exchange): Promise<void> {
  const isQuiet = exchange.flag('quiet');
  const stores = remoteStores(parts.containerd, parts.config.snapshotter);
  await streamProgress(exchange, async (stream) => {
    const lease = await stores.leases.create({ expiresAt: new Date(Date.now() + leaseMs) });
    try {
      // an unreadable archive is a failure within the stream, as with Docker
      if (!isQuiet) stream.send({ status: 'Loading images' });
      const images = await importImages({ content: stores.content, source: exchange.request.raw, lease: lease.id });
      for (const { name, target } of images) {
        const { content, snapshotter, applier } = stores;
        await unpackTarget({
          content,
          snapshotter,
          snapshotterName: parts.config.snapshotter,
          applier,
          target,
          lease: lease.id,
        });
        const { id } = await parts.images.load(target.digest);
        await writeName(parts, name ?? untaggedName(target.digest), target);
        const shown = name === undefined ? undefined : familiarString(parseReference(name));
        stream.send({ stream: shown === undefined ? `Loaded image ID: ${id}\n` : `Loaded image: ${shown}\n` });
        parts.events.publish('image', 'load', id, { name: id });
      }
    } catch (error) {
      const { message } = BoxshipError.from(error);
      stream.send({ errorDetail: { message }, error: message });
    } finally {
      await stores.leases.delete(lease.id);
    }
  });
}
