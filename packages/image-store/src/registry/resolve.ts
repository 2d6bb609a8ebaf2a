/** From a name to a descriptor: HEAD where the registry can, GET where it cannot or the bytes are wanted, which are what was announced. */
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

/** As {@link resolve}, with the bytes: one request less for whoever needs them, which registries count as a pull. */
export async function resolveManifest(
  registry: Registry,
  reference: Reference,
  options: FetchOptions = {},
): Promise<FetchedManifest> {
  return await registry.firstOf(reference.domain, 'resolve', (session) =>
    getManifest(session, reference, manifestName(reference), options),
  );
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
  const wanted = isDigest(name) ? name : answer.header('docker-content-digest');
  const digest = isDigest(wanted) ? digestOf(bytes, digestAlgorithm(wanted)) : digestOf(bytes);
  if (isDigest(wanted) && digest !== wanted)
    throw new BoxshipError('dataLoss', `manifest verification failed for digest ${wanted}`, {
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
