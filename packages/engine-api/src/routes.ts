/**
 * The table of the Engine API: every path with its method and the version that brought it. Servers check their router
 * against it, clients and documentation read it. `{id}` and `{name}` match one path segment, `{name...}` also slashes.
 */
export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** Absent: since 1.24 or earlier. */
  readonly since?: string;
  /** Takes over the connection. */
  readonly isHijacked?: boolean;
}

export const routes = [
  { method: 'GET', path: '/_ping' },
  { method: 'HEAD', path: '/_ping' },
  { method: 'GET', path: '/version' },
  { method: 'GET', path: '/info' },
  { method: 'GET', path: '/events' },
  { method: 'GET', path: '/system/df', since: '1.25' },
  { method: 'POST', path: '/auth' },
  { method: 'GET', path: '/containers/json' },
  { method: 'POST', path: '/containers/create' },
  { method: 'POST', path: '/containers/prune', since: '1.25' },
  { method: 'GET', path: '/containers/{id}/json' },
  { method: 'GET', path: '/containers/{id}/top' },
  { method: 'GET', path: '/containers/{id}/logs' },
  { method: 'GET', path: '/containers/{id}/stats' },
  { method: 'GET', path: '/containers/{id}/changes' },
  { method: 'GET', path: '/containers/{id}/export' },
  { method: 'HEAD', path: '/containers/{id}/archive' },
  { method: 'GET', path: '/containers/{id}/archive' },
  { method: 'PUT', path: '/containers/{id}/archive' },
  { method: 'POST', path: '/containers/{id}/start' },
  { method: 'POST', path: '/containers/{id}/stop' },
  { method: 'POST', path: '/containers/{id}/restart' },
  { method: 'POST', path: '/containers/{id}/kill' },
  { method: 'POST', path: '/containers/{id}/pause' },
  { method: 'POST', path: '/containers/{id}/unpause' },
  { method: 'POST', path: '/containers/{id}/wait' },
  { method: 'POST', path: '/containers/{id}/resize' },
  { method: 'POST', path: '/containers/{id}/rename' },
  { method: 'POST', path: '/containers/{id}/update' },
  { method: 'POST', path: '/containers/{id}/attach', isHijacked: true },
  { method: 'POST', path: '/containers/{id}/exec' },
  { method: 'DELETE', path: '/containers/{id}' },
  { method: 'POST', path: '/exec/{id}/start', isHijacked: true },
  { method: 'POST', path: '/exec/{id}/resize' },
  { method: 'GET', path: '/exec/{id}/json' },
  { method: 'POST', path: '/commit' },
  { method: 'GET', path: '/images/json' },
  { method: 'POST', path: '/images/create' },
  { method: 'POST', path: '/images/load' },
  { method: 'POST', path: '/images/prune', since: '1.25' },
  { method: 'GET', path: '/images/get' },
  { method: 'GET', path: '/images/{name...}/json' },
  { method: 'GET', path: '/images/{name...}/history' },
  { method: 'GET', path: '/images/{name...}/get' },
  { method: 'POST', path: '/images/{name...}/tag' },
  { method: 'POST', path: '/images/{name...}/push' },
  { method: 'DELETE', path: '/images/{name...}' },
  { method: 'GET', path: '/distribution/{name...}/json', since: '1.30' },
  { method: 'GET', path: '/networks' },
  { method: 'GET', path: '/networks/{id}' },
  { method: 'POST', path: '/networks/create' },
  { method: 'POST', path: '/networks/prune', since: '1.25' },
  { method: 'POST', path: '/networks/{id}/connect' },
  { method: 'POST', path: '/networks/{id}/disconnect' },
  { method: 'DELETE', path: '/networks/{id}' },
  { method: 'GET', path: '/volumes' },
  { method: 'GET', path: '/volumes/{name}' },
  { method: 'POST', path: '/volumes/create' },
  { method: 'POST', path: '/volumes/prune', since: '1.25' },
  { method: 'DELETE', path: '/volumes/{name}' },
  { method: 'GET', path: '/plugins' },
  { method: 'GET', path: '/plugins/{name...}/json' },
] as const satisfies readonly Route[];
