/** Networks of a daemon. */
import type {
  EndpointSettingsRequest,
  NetworkCreateRequest,
  NetworkCreateResponse,
  NetworkResource,
  NetworksPruneResponse,
} from '../schemas/network.ts';
import { type Filters, filtersQuery } from './containers.ts';
import type { Transport } from './transport.ts';

export function networksClient(transport: Transport) {
  const at = (id: string, verb = '') => `/networks/${encodeURIComponent(id)}${verb}`;
  return {
    list: (filters?: Filters) =>
      transport.json<NetworkResource[]>('GET', '/networks', { query: filtersQuery(filters) }),
    inspect: (id: string, query: { verbose?: boolean; scope?: string } = {}) =>
      transport.json<NetworkResource>('GET', at(id), { query }),
    create: (body: NetworkCreateRequest) => transport.json<NetworkCreateResponse>('POST', '/networks/create', { body }),
    connect: (id: string, body: { Container: string; EndpointConfig?: EndpointSettingsRequest }) =>
      transport.empty('POST', at(id, '/connect'), { body }),
    disconnect: (id: string, body: { Container: string; Force?: boolean }) =>
      transport.empty('POST', at(id, '/disconnect'), { body }),
    remove: (id: string) => transport.empty('DELETE', at(id)),
    prune: (filters?: Filters) =>
      transport.json<NetworksPruneResponse>('POST', '/networks/prune', { query: filtersQuery(filters) }),
  };
}

export type NetworksClient = ReturnType<typeof networksClient>;
