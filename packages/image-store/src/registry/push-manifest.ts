/** Uploads a manifest or index, under a tag or under its digest. */
import type { Descriptor, Reference } from '@boxship/oci';
import { pushScope } from './registry.ts';
import type { RegistrySession } from './session.ts';

/** @throws what registries refuse: notFound/invalidArgument when a blob it names is missing */
export async function pushManifest(
  session: RegistrySession,
  reference: Reference,
  descriptor: Descriptor,
  bytes: Uint8Array,
  options: { readonly tag?: string; readonly signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const answer = await session.request({
    method: 'PUT',
    path: `/${reference.path}/manifests/${options.tag ?? descriptor.digest}`,
    headers: { 'content-type': descriptor.mediaType },
    body: () => bytes,
    scopes: [pushScope(reference)],
    signal: options.signal,
    attempts: 5,
  });
  await answer.discard();
}
