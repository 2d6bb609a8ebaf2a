/** A blob as the source of an archive: its bytes go from the file to where they are expanded. */
import type { ArchiveReader } from '@boxship/archive';
import { BoxshipError } from '@boxship/base';
import type { Descriptor } from '@boxship/oci';
import type { ContentProvider } from './store.ts';

export interface BlobReaderOptions {
  /** First byte wanted. */
  readonly offset?: number;
  readonly signal?: AbortSignal | undefined;
}

/** @throws notFound; reading throws dataLoss (cut), the signal's reason */
export async function blobReader(
  content: ContentProvider,
  descriptor: Descriptor,
  { offset = 0, signal }: BlobReaderOptions = {},
): Promise<ArchiveReader> {
  const reader = await content.readerAt(descriptor);
  let at = offset;
  return {
    readInto: async (room) => {
      signal?.throwIfAborted();
      const got = await reader.readAt(room, at);
      at += got;
      if (got === 0 && at < reader.size)
        throw new BoxshipError('dataLoss', `content ${descriptor.digest} is shorter than its size`);
      return got;
    },
    [Symbol.asyncDispose]: async () => await reader[Symbol.asyncDispose](),
  };
}
