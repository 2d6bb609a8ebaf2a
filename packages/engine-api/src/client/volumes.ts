/** Volumes of a daemon. */
import type {
  VolumeCreateRequest,
  VolumeListResponse,
  VolumeResource,
  VolumesPruneResponse,
} from '../schemas/volume.ts';
import { type Filters, filtersQuery } from './containers.ts';
import type { Transport } from './transport.ts';

export function volumesClient(transport: Transport) {
  const at = (name: string) => `/volumes/${encodeURIComponent(name)}`;
  return {
    list: (filters?: Filters) =>
      transport.json<VolumeListResponse>('GET', '/volumes', { query: filtersQuery(filters) }),
    create: (body: VolumeCreateRequest) => transport.json<VolumeResource>('POST', '/volumes/create', { body }),
    inspect: (name: string) => transport.json<VolumeResource>('GET', at(name)),
    remove: (name: string, options: { force?: boolean } = {}) =>
      transport.empty('DELETE', at(name), { query: options }),
    prune: (filters?: Filters) =>
      transport.json<VolumesPruneResponse>('POST', '/volumes/prune', { query: filtersQuery(filters) }),
  };
}

export type VolumesClient = ReturnType<typeof volumesClient>;
