import { BoxshipError } from '@boxship/base';
import type { Descriptor } from '@boxship/oci';
import { isIntact } from './content/blobs.ts';
import type { ContentStore } from './content/store.ts';

/** A blob that is not there, or no longer what it was, is to be fetched: other errors are thrown again. */
export async function forgetChanged(content: ContentStore, { digest }: Descriptor, error: unknown): Promise<void> {
  if (BoxshipError.is(error, 'notFound')) return;
  if (!BoxshipError.is(error, 'dataLoss') || (await isIntact(content, { digest }).catch(() => true))) throw error;
  await content.delete(digest);
}
