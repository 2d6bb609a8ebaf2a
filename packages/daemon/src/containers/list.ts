/** `GET /containers/json`: filters and summary lines. */
import { BoxshipError } from '@boxship/base';
import { apiAtLeast, type ContainerSummary, type PortSummary } from '@boxship/engine-api';
import { type ApiFilters, matchesLabels, matchesPattern } from '../http/filters.ts';
import { linkNames } from '../networks/links.ts';
import { endpointsOf } from '../networks/settings.ts';
import type { Parts } from '../parts.ts';
import type { Container, ContainerRecord } from './model.ts';
import { toMountPoint } from './mount-points.ts';
import { parsePortSpec } from './ports.ts';
import { containerSizes } from './sizes.ts';
import { statusText } from './status-text.ts';

export interface ListOptions {
  readonly isAll: boolean;
  readonly limit: number;
  readonly hasSize: boolean;
  readonly filters: ApiFilters;
  readonly apiVersion: string;
}

export const containerFilterKeys = [
  'ancestor', 'before', 'exited', 'expose', 'health', 'id', 'is-task', 'isolation', 'label', 'name', 'network',
  'publish', 'since', 'status', 'volume',
]; // biome-ignore format: a list
const statuses = ['created', 'restarting', 'running', 'removing', 'paused', 'exited', 'dead'];
const healths = ['starting', 'healthy', 'unhealthy', 'none'];

/** @throws invalidArgument for bad filter values */
export async function listContainers(parts: Parts, options: ListOptions): Promise<ContainerSummary[]> {
  const { filters } = options;
  check(filters, 'status', statuses);
  check(filters, 'health', healths);
  const before = filters.get('before')?.[0];
  const since = filters.get('since')?.[0];
  const beforeCreated = before === undefined ? undefined : parts.containers.get(before).record.created;
  const sinceCreated = since === undefined ? undefined : parts.containers.get(since).record.created;
  const ancestors = await ancestorIds(parts, filters.get('ancestor'));
  const showsStopped =
    options.isAll || options.limit > 0 || ['status', 'exited', 'before', 'since'].some((key) => filters.has(key));
  const found: Container[] = [];
  for (const container of parts.containers.list()) {
    const { record } = container;
    if (record.phase === 'creating') continue;
    if (!showsStopped && !record.state.Running) continue;
    if (beforeCreated !== undefined && record.created >= beforeCreated) continue;
    if (sinceCreated !== undefined && record.created <= sinceCreated) continue;
    if (ancestors !== undefined && !ancestors.has(record.imageId) && !ancestors.has(record.config.Image)) continue;
    if (!matches(container, filters)) continue;
    found.push(container);
    if (options.limit > 0 && found.length === options.limit) break;
  }
  const now = Date.now();
  const names = linkNames(parts);
  return await Promise.all(
    found.map((container) => summary(parts, container, { ...options, now, linkNames: names.get(container.id) ?? [] })),
  );
}

function check(filters: ApiFilters, key: string, allowed: readonly string[]): void {
  for (const value of filters.get(key) ?? [])
    if (!allowed.includes(value)) throw new BoxshipError('invalidArgument', `invalid filter '${key}=${value}'`);
}

async function ancestorIds(parts: Parts, values: readonly string[] | undefined): Promise<Set<string> | undefined> {
  if (values === undefined) return undefined;
  const ids = new Set<string>(values);
  for (const value of values) {
    try {
      ids.add((await parts.images.resolve(value)).id);
    } catch (error) {
      if (!BoxshipError.is(error, 'notFound')) throw error; // containers may outlive their image's name
    }
  }
  return ids;
}

function matches(container: Container, filters: ApiFilters): boolean {
  const { record } = container;
  const any = (key: string, test: (value: string) => boolean): boolean => filters.get(key)?.some(test) ?? true;
  return (
    any('id', (value) => record.id.startsWith(value) || matchesPattern(value, record.id)) &&
    any('name', (value) => matchesPattern(value, record.name) || matchesPattern(value, `/${record.name}`)) &&
    any('status', (value) => record.state.Status === value) &&
    any('health', (value) => (container.health?.Status ?? 'none') === value) &&
    any(
      'exited',
      (value) => !record.state.Running && record.hasBeenStarted && record.state.ExitCode === Number(value),
    ) &&
    any('network', (value) => hasNetwork(record, value)) &&
    any('volume', (value) =>
      record.mounts.some((mount) => mount.name === value || mount.destination === value || mount.source === value),
    ) &&
    any('publish', (value) =>
      portMatches(record.sandbox?.ports.map((p) => ({ port: p.hostPort, protocol: p.protocol })) ?? [], value),
    ) &&
    any('expose', (value) =>
      portMatches(Object.keys(record.config.ExposedPorts ?? {}).flatMap(parsePortSpec), value),
    ) &&
    any('is-task', (value) => value === 'false' || value === '0') &&
    matchesLabels(filters, record.config.Labels)
  );
}

function hasNetwork(record: ContainerRecord, value: string): boolean {
  if (Object.hasOwn(record.endpoints, value)) return true;
  return record.sandbox?.endpoints.some((endpoint) => endpoint.networkId.startsWith(value)) ?? false;
}

function portMatches(ports: readonly { port: number; protocol: string }[], value: string): boolean {
  return parsePortSpec(value).some((wanted) =>
    ports.some((p) => p.port === wanted.port && p.protocol === wanted.protocol),
  );
}

async function summary(
  parts: Parts,
  container: Container,
  options: ListOptions & { readonly now: number; readonly linkNames: readonly string[] },
): Promise<ContainerSummary> {
  const { record } = container;
  const sizes = options.hasSize ? await containerSizes(parts, container) : undefined;
  const { NetworkMode, Annotations } = record.hostConfig;
  return {
    Id: record.id,
    Names: [`/${record.name}`, ...options.linkNames].sort(),
    Image: record.config.Image,
    ImageID: record.imageId,
    Command: [record.path, ...record.args].map((word) => (/\s/.test(word) ? `'${word}'` : word)).join(' '),
    Created: Math.floor(Date.parse(record.created) / 1000),
    Ports: portSummaries(record),
    ...(sizes === undefined
      ? {}
      : { ...(sizes.writable > 0 ? { SizeRw: sizes.writable } : {}), SizeRootFs: sizes.total }),
    Labels: record.config.Labels,
    State: record.state.Status,
    Status: statusText(record.state, container.health, options.now),
    HostConfig: {
      NetworkMode,
      ...(apiAtLeast(options.apiVersion, '1.46') && Annotations !== undefined ? { Annotations } : {}),
    },
    NetworkSettings: { Networks: endpointsOf(record, options.apiVersion) },
    Mounts: record.mounts.map(toMountPoint),
  };
}

function portSummaries(record: ContainerRecord): PortSummary[] {
  if (record.sandbox === undefined) return [];
  const published = record.sandbox.ports.map((port) => ({
    IP: port.hostIp,
    PrivatePort: port.containerPort,
    PublicPort: port.hostPort,
    Type: port.protocol,
  }));
  const exposed = Object.keys(record.config.ExposedPorts ?? {})
    .flatMap(parsePortSpec)
    .filter(({ port, protocol }) => !published.some((p) => p.PrivatePort === port && p.Type === protocol))
    .map(({ port, protocol }) => ({ PrivatePort: port, Type: protocol }));
  return [...exposed, ...published];
}
