/** Images of a daemon. Progress streams carry failures in band: see {@link progressOf}. */
import type { Readable } from 'node:stream';
import { BoxshipError } from '@boxship/base';
import type {
  ImageDeleteItem,
  ImageHistoryItem,
  ImageInspect,
  ImageSummary,
  ImagesPruneResponse,
  ProgressMessage,
  RegistryAuth,
} from '../schemas/image.ts';
import { type Filters, filtersQuery } from './containers.ts';
import { jsonLines } from './json-lines.ts';
import type { Transport } from './transport.ts';

export function imagesClient(transport: Transport) {
  // a reference may hold slashes and colons; both are legal in a path
  const at = (name: string, verb: string) => `/images/${encodeURI(name)}${verb}`;
  return {
    list: (options: { all?: boolean; digests?: boolean; filters?: Filters } = {}) => {
      const { filters, ...rest } = options;
      return transport.json<ImageSummary[]>('GET', '/images/json', { query: { ...rest, ...filtersQuery(filters) } });
    },
    inspect: (name: string) => transport.json<ImageInspect>('GET', at(name, '/json')),
    history: (name: string) => transport.json<ImageHistoryItem[]>('GET', at(name, '/history')),
    tag: (name: string, query: { repo: string; tag: string }) => transport.empty('POST', at(name, '/tag'), { query }),
    remove: (name: string, options: { force?: boolean; noprune?: boolean } = {}) =>
      transport.json<ImageDeleteItem[]>('DELETE', at(name, ''), { query: options }),
    prune: (filters?: Filters) =>
      transport.json<ImagesPruneResponse>('POST', '/images/prune', { query: filtersQuery(filters) }),
    async *pull(
      query: { fromImage: string; tag?: string | undefined; platform?: string | undefined },
      options: { auth?: RegistryAuth; signal?: AbortSignal } = {},
    ): AsyncGenerator<ProgressMessage> {
      const headers = authHeader(options.auth);
      yield* jsonLines(await transport.send('POST', '/images/create', { query, headers, signal: options.signal }));
    },
    async *import(
      query: { repo?: string; tag?: string; message?: string },
      body: Readable,
    ): AsyncGenerator<ProgressMessage> {
      yield* jsonLines(await transport.send('POST', '/images/create', { query: { fromSrc: '-', ...query }, body }));
    },
    async *push(name: string, query: { tag?: string }, auth?: RegistryAuth): AsyncGenerator<ProgressMessage> {
      yield* jsonLines(await transport.send('POST', at(name, '/push'), { query, headers: authHeader(auth) }));
    },
    async *load(body: Readable, query: { quiet?: boolean } = {}): AsyncGenerator<ProgressMessage> {
      yield* jsonLines(await transport.send('POST', '/images/load', { query, body }));
    },
    save: (names: readonly string[]): Promise<Readable> => transport.send('GET', '/images/get', { query: { names } }),
  };
}

export type ImagesClient = ReturnType<typeof imagesClient>;

/** `X-Registry-Auth`: base64url of the JSON; Docker's CLI always sends at least `{}`. */
export function authHeader(auth: RegistryAuth | undefined): Record<string, string> {
  return { 'X-Registry-Auth': Buffer.from(JSON.stringify(auth ?? {})).toString('base64url') };
}

/** Passes progress on until a message reports a failure, which it throws. */
export async function* progressOf(messages: AsyncIterable<ProgressMessage>): AsyncGenerator<ProgressMessage> {
  for await (const message of messages) {
    const text = message.errorDetail?.message ?? message.error;
    if (text !== undefined) throw new BoxshipError('unknown', text);
    yield message;
  }
}
