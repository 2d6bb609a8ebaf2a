/** Containers of a daemon. Every method throws errors by kind: notFound, conflict, invalidArgument … */
import type { Readable } from 'node:stream';
import type {
  ContainerCreateRequest,
  ContainerCreateResponse,
  ContainerInspect,
  ContainerSummary,
  ContainersPruneResponse,
  TopResponse,
  WaitResponse,
} from '../schemas/container.ts';
import type { ContainerUpdateRequest } from '../schemas/host-config.ts';
import type { ContainerStats } from '../schemas/stats.ts';
import { jsonLines } from './json-lines.ts';
import type { Hijacked, Transport } from './transport.ts';

/** Filter values as the wire wants them: key → value → true. */
export type Filters = Readonly<Record<string, Readonly<Record<string, boolean>>>>;

export interface ListContainersOptions {
  readonly all?: boolean;
  readonly limit?: number;
  readonly size?: boolean;
  readonly filters?: Filters;
}

export interface AttachOptions {
  readonly stream?: boolean;
  readonly stdin?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly logs?: boolean;
  readonly detachKeys?: string;
  readonly signal?: AbortSignal;
}

export interface LogsOptions {
  readonly follow?: boolean;
  readonly stdout?: boolean;
  readonly stderr?: boolean;
  readonly since?: string;
  readonly until?: string;
  readonly timestamps?: boolean;
  readonly tail?: string;
  readonly details?: boolean;
  readonly signal?: AbortSignal;
}

export interface StopOptions {
  /** Seconds until SIGKILL; -1 waits for ever. */
  readonly timeout?: number;
  /** Since 1.42. */
  readonly signal?: string;
}

export type WaitCondition = 'not-running' | 'next-exit' | 'removed';

export interface PathStat {
  readonly name: string;
  readonly size: number;
  /** Go's FileMode. */
  readonly mode: number;
  readonly mtime: string;
  readonly linkTarget: string;
}

export function containersClient(transport: Transport) {
  const at = (id: string, verb: string) => `/containers/${encodeURIComponent(id)}${verb}`;
  return {
    list: ({ filters, ...options }: ListContainersOptions = {}) =>
      transport.json<ContainerSummary[]>('GET', '/containers/json', {
        query: { ...options, ...filtersQuery(filters) },
      }),
    create: (
      body: ContainerCreateRequest,
      options: { name?: string | undefined; platform?: string | undefined } = {},
    ) => transport.json<ContainerCreateResponse>('POST', '/containers/create', { body, query: options }),
    inspect: (id: string, options: { size?: boolean } = {}) =>
      transport.json<ContainerInspect>('GET', at(id, '/json'), { query: options }),
    /** Gives false if it was running already. */
    start: async (id: string, options: { detachKeys?: string } = {}) =>
      (await transport.empty('POST', at(id, '/start'), { query: options })) !== 304,
    /** Gives false if it was not running. */
    stop: async (id: string, options: StopOptions = {}) =>
      (await transport.empty('POST', at(id, '/stop'), { query: stopQuery(options) })) !== 304,
    restart: (id: string, options: StopOptions = {}) =>
      transport.empty('POST', at(id, '/restart'), { query: stopQuery(options) }),
    kill: (id: string, signal?: string) => transport.empty('POST', at(id, '/kill'), { query: { signal } }),
    pause: (id: string) => transport.empty('POST', at(id, '/pause')),
    unpause: (id: string) => transport.empty('POST', at(id, '/unpause')),
    rename: (id: string, name: string) => transport.empty('POST', at(id, '/rename'), { query: { name } }),
    update: (id: string, body: ContainerUpdateRequest) =>
      transport.json<{ Warnings: string[] | null }>('POST', at(id, '/update'), { body }),
    remove: (id: string, options: { force?: boolean; v?: boolean; link?: boolean } = {}) =>
      transport.empty('DELETE', at(id, ''), { query: options }),
    resize: (id: string, size: { h: number; w: number }) => transport.empty('POST', at(id, '/resize'), { query: size }),
    top: (id: string, psArgs?: string) =>
      transport.json<TopResponse>('GET', at(id, '/top'), { query: { ps_args: psArgs } }),
    changes: (id: string) => transport.json<{ Path: string; Kind: number }[] | null>('GET', at(id, '/changes')),
    prune: (filters?: Filters) =>
      transport.json<ContainersPruneResponse>('POST', '/containers/prune', { query: filtersQuery(filters) }),
    /** Resolves once the daemon has registered the wait; `result` follows at the exit. */
    async wait(
      id: string,
      condition?: WaitCondition,
      signal?: AbortSignal,
    ): Promise<{ result: Promise<WaitResponse> }> {
      const message = await transport.send('POST', at(id, '/wait'), { query: { condition }, signal });
      const result = (async () => {
        for await (const answer of jsonLines<WaitResponse>(message)) return answer;
        return { StatusCode: 0, Error: { Message: 'the daemon closed the connection' } };
      })();
      result.catch(() => {}); // reported to whoever awaits `result`; without this an early error would end the process
      return { result };
    },
    attach: (id: string, { signal, ...options }: AttachOptions): Promise<Hijacked> =>
      transport.hijack(at(id, '/attach'), { query: onlyTrue(options), signal }),
    /** Frames of stdout and stderr, or raw bytes of a terminal. */
    logs: (id: string, { signal, ...options }: LogsOptions): Promise<Readable> =>
      transport.send('GET', at(id, '/logs'), { query: onlyTrue(options), signal }),
    async *stats(id: string, options: { stream?: boolean; oneShot?: boolean; signal?: AbortSignal } = {}) {
      const query = { stream: options.stream ?? true, ...(options.oneShot === true ? { 'one-shot': true } : {}) };
      yield* jsonLines<ContainerStats>(
        await transport.send('GET', at(id, '/stats'), { query, signal: options.signal }),
      );
    },
    /** A tar stream of a path in the container. */
    readArchive: async (id: string, path: string) => {
      const message = await transport.send('GET', at(id, '/archive'), { query: { path } });
      return { stat: decodeStat(message.headers['x-docker-container-path-stat']), body: message as Readable };
    },
    statPath: async (id: string, path: string) => {
      const message = await transport.send('HEAD', at(id, '/archive'), { query: { path } });
      message.resume();
      return decodeStat(message.headers['x-docker-container-path-stat']);
    },
    writeArchive: (
      id: string,
      path: string,
      body: Readable | Uint8Array,
      options: { noOverwriteDirNonDir?: boolean; copyUIDGID?: boolean } = {},
    ) => transport.empty('PUT', at(id, '/archive'), { query: { path, ...options }, body }),
    export: (id: string): Promise<Readable> => transport.send('GET', at(id, '/export')),
    commit: (body: object, query: Readonly<Record<string, string | boolean | readonly string[] | undefined>>) =>
      transport.json<{ Id: string }>('POST', '/commit', { body, query }),
  };
}

export type ContainersClient = ReturnType<typeof containersClient>;

export const filtersQuery = (filters: Filters | undefined) =>
  filters === undefined || Object.keys(filters).length === 0 ? {} : { filters };

const stopQuery = ({ timeout, signal }: StopOptions) => ({ t: timeout, signal });

/** Docker's CLI sends flags only when they are on. */
function onlyTrue(options: Readonly<Record<string, string | boolean | undefined>>) {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== false && value !== undefined));
}

function decodeStat(header: string | string[] | undefined): PathStat {
  const encoded = Array.isArray(header) ? header[0] : header;
  return JSON.parse(Buffer.from(encoded ?? '', 'base64').toString('utf8')) as PathStat;
}
