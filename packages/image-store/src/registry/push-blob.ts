/**
 * Uploading: a blob that is there already is not sent, one that another repository has is mounted, everything else goes up in
 * one stream. A cut upload goes on where the registry says it stopped.
 */
import { BoxshipError, sleep } from '@boxship/base';
import { type Descriptor, type Reference, withoutTag } from '@boxship/oci';
import type { ContentProvider } from '../content/store.ts';
import { pullScope, pushScope } from './registry.ts';
import type { RegistrySession } from './session.ts';
import type { HttpResponse } from './transport.ts';

export type PushOutcome =
  | { readonly kind: 'exists' }
  | { readonly kind: 'mounted'; readonly from: string }
  | { readonly kind: 'pushed' };

export interface PushBlobOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onRetry?: ((seconds: number) => void) | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Repositories of the same registry that may have the blob; at most four are asked. */
  readonly candidates?: readonly string[];
}

const maxCandidates = 4;
const attempts = 5;

export async function pushBlob(
  session: RegistrySession,
  reference: Reference,
  content: ContentProvider,
  descriptor: Descriptor,
  options: PushBlobOptions = {},
): Promise<PushOutcome> {
  const { path } = withoutTag(reference);
  const scopes = [pushScope(reference)];
  const head = async (): Promise<boolean> => {
    const answer = await session.request(
      { method: 'HEAD', path: `/${path}/blobs/${descriptor.digest}`, scopes, signal: options.signal },
      [404],
    );
    await answer.discard();
    return answer.status === 200;
  };
  if (await head()) return { kind: 'exists' };
  const start = (query: Record<string, string>, extra: readonly string[] = []): Promise<HttpResponse> =>
    session.request({
      method: 'POST',
      path: `/${path}/blobs/uploads/`,
      query,
      headers: { 'content-length': '0' },
      scopes: [...scopes, ...extra],
      signal: options.signal,
      attempts,
    });
  let answer: HttpResponse | undefined;
  for (const from of (options.candidates ?? []).filter((candidate) => candidate !== path).slice(0, maxCandidates)) {
    try {
      answer = await start({ mount: descriptor.digest, from }, [pullScope({ ...reference, path: from })]);
    } catch (error) {
      if (BoxshipError.is(error, 'unavailable')) throw error;
      continue; // that repository may not be read: no reason to give up
    }
    await answer.discard();
    if (answer.status === 201) return { kind: 'mounted', from };
    break; // 202: an ordinary upload has been opened instead
  }
  if (answer === undefined) {
    answer = await start({});
    await answer.discard();
  }
  await upload(session, content, descriptor, locationOf(session, answer), scopes, options);
  if (!(await head()))
    throw new BoxshipError('dataLoss', `registry does not have blob ${descriptor.digest} after its upload`);
  return { kind: 'pushed' };
}

async function upload(
  session: RegistrySession,
  content: ContentProvider,
  descriptor: Descriptor,
  first: URL,
  scopes: readonly string[],
  options: PushBlobOptions,
): Promise<void> {
  let location = first;
  let offset = 0;
  for (let attempt = 1; offset < descriptor.size; attempt++) {
    const from = offset;
    const body = async function* (): AsyncGenerator<Uint8Array> {
      let sent = from;
      for await (const chunk of content.read(descriptor, { offset: from })) {
        yield chunk;
        sent += chunk.length;
        options.onProgress?.(sent);
      }
    };
    const size = descriptor.size - from;
    try {
      const answer = await session.request({
        method: 'PATCH',
        path: location,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(size),
          ...(from === 0 ? {} : { 'content-range': `${from}-${descriptor.size - 1}` }),
        },
        body,
        scopes,
        signal: options.signal,
      });
      await answer.discard();
      location = locationOf(session, answer, location);
      offset = descriptor.size;
    } catch (error) {
      const mayPass = BoxshipError.is(error) && (error.details['isNetwork'] === true || error.kind === 'unavailable');
      if (!mayPass || attempt >= attempts) throw error;
      const seconds = Math.min(8, 0.5 * 2 ** attempt);
      options.onRetry?.(Math.ceil(seconds));
      await sleep(seconds * 1000, options.signal);
      const state = await session.request({ method: 'GET', path: location, scopes, signal: options.signal });
      await state.discard();
      location = locationOf(session, state, location);
      const end = /(?:bytes=)?\d+-(\d+)/.exec(state.header('range') ?? '')?.[1];
      offset = end === undefined || end === '0' ? 0 : Math.min(descriptor.size, Number(end) + 1);
    }
  }
  const done = new URL(location);
  done.searchParams.set('digest', descriptor.digest);
  const answer = await session.request({
    method: 'PUT',
    path: done,
    headers: { 'content-length': '0' },
    scopes,
    signal: options.signal,
    attempts,
  });
  await answer.discard();
}

/** Where to go on: always the newest location, which may be relative and carries state in its query. */
function locationOf(session: RegistrySession, answer: HttpResponse, previous?: URL): URL {
  const { scheme, host } = session.host;
  const base = previous ?? new URL(`${scheme}://${host}/`);
  const header = answer.header('location');
  const location = header === undefined ? previous : (URL.parse(header, base.href) ?? undefined);
  if (location === undefined) throw new BoxshipError('unknown', 'registry opened an upload without a location');
  // Registries behind a proxy name themselves by an address of theirs; the credentials are for ours.
  if (location.host !== host)
    throw new BoxshipError('permissionDenied', `upload location ${location.origin} is not at ${host}`);
  location.protocol = `${scheme}:`;
  return location;
}
