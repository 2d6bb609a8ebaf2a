/**
 * A blob as a stream that survives cut connections: it goes on where it stopped, as long as something arrives. The bytes are
 * counted here and hashed by whoever stores them.
 */
import { BoxshipError, sleep } from '@boxship/base';
import type { Descriptor, Reference } from '@boxship/oci';
import { isHopeless } from './errors.ts';
import { pullScope, type Registry } from './registry.ts';
import type { FetchOptions } from './resolve.ts';
import type { RegistrySession } from './session.ts';
import type { HttpResponse } from './transport.ts';

export interface FetchBlobOptions extends FetchOptions {
  /** First byte wanted. */
  readonly offset?: number;
  /** Each piece is needed only until the next one is asked for. Default false. */
  readonly isTransient?: boolean;
}

const attemptsWithoutProgress = 5;

/** @throws notFound (`blob unknown…`), dataLoss (longer than announced), and what registries refuse */
export async function* fetchBlob(
  registry: Registry,
  reference: Reference,
  descriptor: Descriptor,
  options: FetchBlobOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = options.offset ?? 0;
  const sessions = await registry.sessions(reference.domain, 'pull');
  for (const [index, session] of sessions.entries()) {
    try {
      for (let failures = 0; at < descriptor.size || (at === 0 && descriptor.size === 0); ) {
        const before = at;
        try {
          for await (const chunk of part(session, reference, descriptor, at, options)) {
            at += chunk.length;
            if (at > descriptor.size)
              throw new BoxshipError('dataLoss', `blob ${descriptor.digest} is longer than ${descriptor.size} bytes`);
            yield chunk;
          }
          if (descriptor.size === 0) return;
          if (at < descriptor.size) throw cut(descriptor);
        } catch (error) {
          options.signal?.throwIfAborted();
          if (!BoxshipError.is(error) || error.details['isNetwork'] !== true) throw error;
          failures = at > before ? 0 : failures + 1;
          if (failures >= attemptsWithoutProgress || isHopeless(error)) throw error;
          const seconds = 0.25 * 2 ** failures;
          options.onRetry?.(Math.ceil(seconds));
          await sleep(seconds * 1000, options.signal);
        }
      }
      return;
    } catch (error) {
      if (index === sessions.length - 1 || options.signal?.aborted || !BoxshipError.is(error)) throw error;
    }
  }
}

const cut = (descriptor: Descriptor): BoxshipError =>
  new BoxshipError('unavailable', `blob ${descriptor.digest} ended early`, { details: { isNetwork: true } });

async function* part(
  session: RegistrySession,
  reference: Reference,
  descriptor: Descriptor,
  offset: number,
  options: FetchBlobOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const answer = await session.request(
    {
      method: 'GET',
      path: `/${reference.path}/blobs/${descriptor.digest}`,
      // A blob is wanted as it is: a server that compresses on the way would change its digest.
      headers: { 'accept-encoding': 'identity', ...(offset === 0 ? {} : { range: `bytes=${offset}-` }) },
      scopes: [pullScope(reference)],
      signal: options.signal,
      onRetry: options.onRetry,
    },
    [],
  );
  let skip = skippedBytes(answer, offset);
  for await (const chunk of answer.body) {
    if (skip >= chunk.length) skip -= chunk.length;
    else if (skip === 0) {
      yield chunk;
      if (options.isTransient === true) free(chunk);
    } else {
      yield chunk.subarray(skip);
      skip = 0;
    }
  }
}

/**
 * Gives the memory of a piece back at once, if it is all of what was read from the socket, which nobody else has then. Left to the
 * garbage, pieces of 64 KiB make V8 mark its whole heap after every few megabytes, which cost more than the hash.
 */
function free({ buffer, byteOffset, length }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && byteOffset === 0 && length === buffer.byteLength) buffer.transfer(0);
}

/** Bytes to drop from an answer that starts before `offset`: a server may ignore Range. */
function skippedBytes(answer: HttpResponse, offset: number): number {
  if (answer.status !== 206) return offset;
  const start = Number(/^bytes (\d+)-/.exec(answer.header('content-range') ?? '')?.[1] ?? offset);
  if (start > offset) throw new BoxshipError('unknown', `range from ${offset} was answered from ${start}`);
  return offset - start;
}
