/** From a name to a descriptor: HEAD where the registry can, GET where it cannot. Bytes decide, headers only announce. */
import { BoxshipError } from '@boxship/base';
import {
  type Descriptor,
  digestAlgorithm,
  digestOf,
  formatReference,
  isDigest,
  isSchema1Type,
  manifestAccept,
  maxManifestBytes,
  parseManifest,
  type Reference,
  schema1Refusal,
} from '@boxship/oci';
import { manifestName, pullScope, type Registry } from './registry.ts';
import type { RegistrySession } from './session.ts';
import type { HttpResponse } from './transport.ts';

export interface FetchOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((seconds: number) => void) | undefined;
}

export interface FetchedManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Buffer;
}

/** @throws notFound (`manifest unknown: …`), unauthenticated, permissionDenied, unavailable, unimplemented (schema 1) */
export async function resolve(
  registry: Registry,
  reference: Reference,
  options: FetchOptions = {},
): Promise<Descriptor> {
  return await registry.firstOf(reference.domain, 'resolve', async (session) => {
    const answer = await ask(session, 'HEAD', reference, manifestName(reference), options, [404, 405]);
    await answer.discard();
    const mediaType = answer.header('content-type')?.split(';', 1)[0]?.trim() ?? '';
    const digest = reference.digest ?? answer.header('docker-content-digest');
    const size = Number(answer.header('content-length'));
    if (isSchema1Type(mediaType)) throw new BoxshipError('unimplemented', schema1Refusal(formatReference(reference)));
    if (answer.status < 400 && isDigest(digest) && size > 0 && mediaType !== '') {
      checkSize(size);
      return { mediaType, digest, size };
    }
    return (await getManifest(session, reference, manifestName(reference), options)).descriptor;
  });
}

/** A manifest or index with its bytes. @throws dataLoss when they do not match `digest`, and as {@link resolve} */
export async function fetchManifest(
  registry: Registry,
  reference: Reference,
  name: string = manifestName(reference),
  options: FetchOptions = {},
): Promise<FetchedManifest> {
  return await registry.firstOf(reference.domain, 'pull', (session) => getManifest(session, reference, name, options));
}

async function getManifest(
  session: RegistrySession,
  reference: Reference,
  name: string,
  options: FetchOptions,
): Promise<FetchedManifest> {
  const answer = await ask(session, 'GET', reference, name, options, []);
  const announced = Number(answer.header('content-length') ?? 0);
  checkSize(announced);
  const bytes = await answer.bytes(maxManifestBytes);
  const mediaType = answer.header('content-type')?.split(';', 1)[0]?.trim() ?? '';
  const digest = isDigest(name) ? digestOf(bytes, digestAlgorithm(name)) : digestOf(bytes);
  if (isDigest(name) && digest !== name)
    throw new BoxshipError('dataLoss', `manifest verification failed for digest ${name}`, {
      details: { actual: digest },
    });
  const document = parseManifest(bytes, mediaType, formatReference(reference));
  return { bytes, descriptor: { mediaType: document.mediaType, digest, size: bytes.length } };
}

function ask(
  session: RegistrySession,
  method: 'GET' | 'HEAD',
  reference: Reference,
  name: string,
  options: FetchOptions,
  accept: readonly number[],
): Promise<HttpResponse> {
  return session.request(
    {
      method,
      path: `/${reference.path}/manifests/${name}`,
      headers: { accept: manifestAccept },
      scopes: [pullScope(reference)],
      signal: options.signal,
      onRetry: options.onRetry,
    },
    accept,
  );
}

function checkSize(size: number): void {
  if (size > maxManifestBytes)
    throw new BoxshipError(
      'resourceExhausted',
      `manifest of ${size} bytes is larger than the limit of ${maxManifestBytes} bytes`,
    );
}
