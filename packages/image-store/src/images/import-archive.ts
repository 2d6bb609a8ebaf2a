/**
 * `docker load`: images from an archive, in one pass over a stream whose members may come in any order. OCI layouts and the
 * older form (manifest.json with config and layer files) are both read; an archive that is both is read as a layout.
 * Whatever looks like content is stored at once under its digest, and becomes garbage if nothing refers to it.
 */
import { randomBytes } from 'node:crypto';
import { decompress, detectCompression, magicBytes, readTar, type TarMember, textOf } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import { type Descriptor, isDigest, parseDescriptor, parseJson } from '@boxship/oci';
import type { ArchiveFiles, ImportedImage, ImportOptions, StoredFile } from './archive-files.ts';
import { referenceLabels } from './gc-labels.ts';
import { writeStream } from './import-root.ts';
import { imagesOfLegacyArchive } from './legacy-archive.ts';
import { childrenOf, readManifest } from './walk.ts';

const textNames = new Set(['index.json', 'manifest.json', 'oci-layout', 'repositories']);
const maxTextBytes = 16 * 1024 * 1024;
const maxFiles = 100_000;

/** @throws invalidArgument (no image archive, damaged, diff ids differ), and what the store throws */
export async function importImages(options: ImportOptions): Promise<ImportedImage[]> {
  const found = await storeFiles(options);
  const index = found.texts.get('index.json');
  const legacy = found.texts.get('manifest.json');
  const images =
    index !== undefined
      ? imagesOfLayout(index)
      : legacy !== undefined
        ? await imagesOfLegacyArchive(options, found, legacy)
        : undefined;
  if (images === undefined)
    throw new BoxshipError('invalidArgument', 'unrecognized image format: neither index.json nor manifest.json found');
  for (const { target } of images) await linkContent(options, target);
  return images;
}

async function storeFiles(options: ImportOptions): Promise<ArchiveFiles> {
  const files = new Map<string, StoredFile>();
  const links = new Map<string, string>();
  const texts = new Map<string, Buffer>();
  for await (const { entry, body } of readTar(decompress(options.source))) {
    options.signal?.throwIfAborted();
    const name = textOf(entry.name).replace(/^(?:\.?\/)+/, '');
    if (files.size + links.size > maxFiles)
      throw new BoxshipError('resourceExhausted', `image archive has more than ${maxFiles} files`);
    if (entry.type === 'symlink') links.set(name, resolvePath(name, textOf(entry.linkName)));
    else if (entry.type === 'hardlink') links.set(name, resolvePath('', textOf(entry.linkName)));
    else if (entry.type !== 'file') continue;
    else if (textNames.has(name)) {
      if (entry.size > maxTextBytes)
        throw new BoxshipError('resourceExhausted', `${name} of ${entry.size} bytes is larger than ${maxTextBytes}`);
      const chunks: Buffer[] = [];
      for await (const chunk of body) chunks.push(Buffer.from(chunk));
      texts.set(name, Buffer.concat(chunks));
    } else files.set(name, await storeFile(options, name, { entry, body }));
  }
  return { files, links, texts };
}

async function storeFile(options: ImportOptions, name: string, { entry, body }: TarMember): Promise<StoredFile> {
  let head = Buffer.alloc(0);
  let current = 0;
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for await (const chunk of body) {
      if (head.length < magicBytes) head = Buffer.concat([head, chunk.subarray(0, magicBytes)]);
      current += chunk.length;
      options.onProgress?.({ name, current, total: entry.size });
      yield chunk;
    }
  };
  const blob = /^blobs\/([a-z0-9]+)\/([0-9a-f]+)$/.exec(name);
  const named = blob === null ? undefined : `${blob[1]}:${blob[2]}`;
  const expected = isDigest(named) ? named : undefined;
  try {
    const stored = await writeStream(options.content, source(), {
      ref: `load-${randomBytes(8).toString('hex')}`,
      ...(expected === undefined ? {} : { expected }),
      ...(options.lease === undefined ? {} : { lease: options.lease }),
    });
    return { ...stored, compression: sniff(head) };
  } catch (error) {
    if (BoxshipError.is(error, 'failedPrecondition'))
      throw new BoxshipError('invalidArgument', `${name} does not have the digest in its name`, { cause: error });
    if (!BoxshipError.is(error, 'alreadyExists') || expected === undefined) throw error;
    return { digest: expected, size: entry.size, compression: 'none' }; // it is there; its bytes are passed over
  }
}

function sniff(head: Uint8Array): StoredFile['compression'] {
  try {
    return detectCompression(head);
  } catch {
    return 'none'; // not of ours to read: whoever unpacks it says so
  }
}

/** Names are of posix shape and stay inside the archive. */
export function resolvePath(from: string, link: string): string {
  const parts = link.startsWith('/') ? [] : from.split('/').slice(0, -1);
  for (const part of link.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function imagesOfLayout(index: Buffer): ImportedImage[] {
  const document = parseJson(index, 'index.json') as { manifests?: unknown } | null;
  if (!Array.isArray(document?.manifests)) throw new BoxshipError('invalidArgument', 'index.json has no manifests');
  return document.manifests.map((entry: unknown, at) => {
    const { annotations, ...target } = parseDescriptor(entry, `index.json: manifests[${at}]`);
    const name = annotations?.['io.containerd.image.name'] ?? annotations?.['org.opencontainers.image.ref.name'];
    // The tag alone names nothing.
    return { name: name !== undefined && /[/:]/.test(name) ? name : undefined, target };
  });
}

/** Sets the labels that keep children alive, for everything that is present. */
async function linkContent(options: ImportOptions, target: Descriptor): Promise<void> {
  const { content } = options;
  try {
    await content.info(target.digest);
  } catch (error) {
    if (BoxshipError.is(error, 'notFound')) return; // another platform, left out of the archive
    throw error;
  }
  const children = await childrenOf(content, target);
  if (children.length === 0) return;
  const labels = referenceLabels(await readManifest(content, target));
  await content.update({ digest: target.digest, labels, fields: Object.keys(labels) });
  for (const child of children) await linkContent(options, child);
}
