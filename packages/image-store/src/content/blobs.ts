/** Whole blobs at once: the few lines that everybody who reads a manifest or writes a config would repeat. */
import { BoxshipError } from '@boxship/base';
import { type Descriptor, Digester, digestAlgorithm, digestOf } from '@boxship/oci';
import { changedContent } from './errors.ts';
import type { ContentIngester, ContentProvider, WriterOptions } from './store.ts';

/** All bytes of a blob. @throws notFound; dataLoss when they have changed; resourceExhausted beyond `limit` bytes */
export async function readBlob(
  store: ContentProvider,
  name: Pick<Descriptor, 'digest'>,
  limit: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of store.read(name)) {
    size += chunk.length;
    if (size > limit)
      throw new BoxshipError('resourceExhausted', `content ${name.digest} is larger than ${limit} bytes`);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes, digestAlgorithm(name.digest)) !== name.digest) throw changedContent(name.digest);
  return bytes;
}

/** Whether a blob still has its digest. @throws notFound */
export async function isIntact(store: ContentProvider, { digest }: Pick<Descriptor, 'digest'>): Promise<boolean> {
  const digester = new Digester(digestAlgorithm(digest));
  for await (const chunk of store.read({ digest })) digester.update(chunk);
  return digester.digest() === digest;
}

/** Stores bytes; it is no error when they are there already. */
export async function writeBlob(
  store: ContentIngester,
  bytes: Uint8Array,
  options: Omit<WriterOptions, 'total' | 'expected'> & { readonly mediaType: string },
): Promise<Descriptor> {
  const { mediaType, ...rest } = options;
  const digest = digestOf(bytes);
  try {
    await using writer = await store.writer({ ...rest, total: bytes.length, expected: digest });
    if (writer.status().offset !== 0) await writer.truncate(0);
    await writer.write(bytes);
    await writer.commit({ size: bytes.length, expected: digest });
  } catch (error) {
    if (!BoxshipError.is(error, 'alreadyExists')) throw error;
  }
  return { mediaType, digest, size: bytes.length };
}
