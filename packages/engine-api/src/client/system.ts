/** The daemon itself: version, info, events, disk usage, login. */
import type { EventMessage } from '../schemas/event.ts';
import type { AuthRequest, AuthResponse, DiskUsage, SystemInfo, VersionResponse } from '../schemas/system.ts';
import { type Filters, filtersQuery } from './containers.ts';
import { jsonLines } from './json-lines.ts';
import type { Transport } from './transport.ts';

export function systemClient(transport: Transport) {
  return {
    ping: () => transport.ping(),
    version: () => transport.json<VersionResponse>('GET', '/version'),
    info: () => transport.json<SystemInfo>('GET', '/info'),
    diskUsage: (types?: readonly string[]) =>
      transport.json<DiskUsage>('GET', '/system/df', types === undefined ? {} : { query: { type: types } }),
    auth: (body: AuthRequest) => transport.json<AuthResponse>('POST', '/auth', { body }),
    /** Ends with the signal, at `until`, or when the daemon goes away. */
    async *events(
      options: { since?: string; until?: string; filters?: Filters; signal?: AbortSignal } = {},
    ): AsyncGenerator<EventMessage> {
      const { since, until, filters, signal } = options;
      yield* jsonLines(
        await transport.send('GET', '/events', { query: { since, until, ...filtersQuery(filters) }, signal }),
      );
    },
  };
}

export type SystemClient = ReturnType<typeof systemClient>;
