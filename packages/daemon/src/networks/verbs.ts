/** Network verbs of the API: the network service, plus what containers have recorded. */
import { BoxshipError } from '@boxship/base';
import type {
  EndpointSettingsRequest,
  NetworkCreateRequest,
  NetworkCreateResponse,
  NetworkResource,
  NetworksPruneResponse,
} from '@boxship/engine-api';
import type { Network, NetworkController } from '@boxship/network';
import { parseTimeNs } from '../clock.ts';
import { isTaskAlive } from '../containers/model.ts';
import { containerOfMode } from '../containers/spec/namespaces.ts';
import { type ApiFilters, booleanFilter, matchesLabels, matchesPattern } from '../http/filters.ts';
import { parseInstant } from '../http/times.ts';
import type { Parts } from '../parts.ts';
import { checkSpec, endpointSpec } from './endpoint-specs.ts';
import { publishEndpointEvents } from './events.ts';
import { networkResource, scopeOf } from './resource.ts';

export const networkFilterKeys = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'];
const predefined = new Set(['bridge', 'host', 'none']);

/** @throws unavailable when no network service is configured */
export function controllerOf(parts: Parts): NetworkController {
  if (parts.network === undefined) throw new BoxshipError('unavailable', 'no network service is configured');
  return parts.network;
}

export async function listNetworks(parts: Parts, filters: ApiFilters, apiVersion: string): Promise<NetworkResource[]> {
  if (parts.network === undefined) return [];
  const isDangling = booleanFilter(filters, 'dangling');
  for (const value of filters.get('type') ?? [])
    if (value !== 'builtin' && value !== 'custom')
      throw new BoxshipError('invalidArgument', `invalid filter: 'type'='${value}'`);
  const any = (key: string, test: (value: string) => boolean) => filters.get(key)?.some(test) ?? true;
  const networks = await parts.network.listNetworks();
  return networks
    .filter(
      (network) =>
        any('name', (value) => matchesPattern(value, network.spec.name)) &&
        any('id', (value) => network.id.startsWith(value)) &&
        any('driver', (value) => network.spec.driver === value) &&
        any('scope', (value) => value === scopeOf(network)) &&
        any('type', (value) => (value === 'builtin') === predefined.has(network.spec.name)) &&
        matchesLabels(filters, network.spec.labels) &&
        (isDangling === undefined || isDangling === (!predefined.has(network.spec.name) && !isUsed(parts, network))),
    )
    .map((network) => networkResource(parts, network, apiVersion, false));
}

/** @throws notFound, invalidArgument when ambiguous */
export async function inspectNetwork(parts: Parts, idOrName: string, apiVersion: string): Promise<NetworkResource> {
  // without a network service there are no networks; clients that look for any object of a name go on then
  if (parts.network === undefined) throw new BoxshipError('notFound', `network ${idOrName} not found`);
  return networkResource(parts, await parts.network.network(idOrName), apiVersion, true);
}

const isUsed = (parts: Parts, network: Network): boolean =>
  parts.containers
    .list()
    .some(({ record }) => record.sandbox?.endpoints.some((endpoint) => endpoint.networkId === network.id) ?? false);

/** @throws invalidArgument, conflict */
export async function createNetwork(parts: Parts, request: NetworkCreateRequest): Promise<NetworkCreateResponse> {
  const name = request.Name ?? '';
  if (name.trim() === '') throw new BoxshipError('invalidArgument', 'network name cannot be empty');
  if (predefined.has(name))
    throw new BoxshipError('permissionDenied', `operation is not permitted on predefined ${name} network `);
  const { IPAM } = request;
  const driver = request.Driver || 'bridge';
  const network = await controllerOf(parts).createNetwork({
    name,
    driver,
    isInternal: request.Internal ?? false,
    ...(request.EnableIPv4 === undefined ? {} : { enableIPv4: request.EnableIPv4 }),
    ...(request.EnableIPv6 === undefined ? {} : { enableIPv6: request.EnableIPv6 }),
    isAttachable: request.Attachable ?? false,
    isIngress: request.Ingress ?? false,
    isConfigOnly: request.ConfigOnly ?? false,
    ...(request.ConfigFrom?.Network ? { configFrom: request.ConfigFrom.Network } : {}),
    ...(IPAM?.Driver ? { ipamDriver: IPAM.Driver } : {}),
    ...(IPAM?.Options === undefined ? {} : { ipamOptions: { ...IPAM.Options } }),
    pools: (IPAM?.Config ?? []).map((pool) => ({
      ...(pool.Subnet ? { subnet: pool.Subnet } : {}),
      ...(pool.IPRange ? { ipRange: pool.IPRange } : {}),
      ...(pool.Gateway ? { gateway: pool.Gateway } : {}),
      ...(pool.AuxiliaryAddresses === undefined ? {} : { auxAddresses: { ...pool.AuxiliaryAddresses } }),
    })),
    options: { ...parts.config.defaultNetworkOptions[driver], ...request.Options },
    labels: { ...request.Labels },
  });
  parts.events.publish('network', 'create', network.id, { name, type: network.spec.driver });
  return { Id: network.id, Warning: '' };
}

/** @throws notFound, permissionDenied, conflict */
export async function removeNetwork(parts: Parts, idOrName: string): Promise<void> {
  const controller = controllerOf(parts);
  const network = await controller.network(idOrName);
  if (predefined.has(network.spec.name))
    throw new BoxshipError('permissionDenied', `${network.spec.name} is a pre-defined network and cannot be removed`);
  await controller.removeNetwork(network.id);
  parts.events.publish('network', 'destroy', network.id, { name: network.spec.name, type: network.spec.driver });
}

/** @throws notFound, conflict */
export async function connectNetwork(
  parts: Parts,
  idOrName: string,
  containerName: string,
  settings: EndpointSettingsRequest,
): Promise<void> {
  const container = parts.containers.get(containerName);
  const controller = controllerOf(parts);
  const network = await controller.network(idOrName);
  const { name } = network.spec;
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  const mode = record.hostConfig.NetworkMode;
  if (mode === 'host' || containerOfMode(mode) !== undefined)
    throw new BoxshipError(
      'invalidArgument',
      'container sharing network namespace with another container or host cannot be connected to any other network',
    );
  if (name === 'host')
    throw new BoxshipError(
      'invalidArgument',
      'container cannot be disconnected from host network or connected to host network',
    );
  const spec = endpointSpec(name, settings);
  checkSpec(name, spec);
  if (isTaskAlive(container) && record.sandbox !== undefined) {
    if (record.sandbox.endpoints.some((endpoint) => endpoint.networkId === network.id))
      throw new BoxshipError('permissionDenied', `endpoint with name ${record.name} already exists in network ${name}`);
    const endpoint = await controller.connect(record.sandbox.id, spec);
    record.sandbox = { ...record.sandbox, endpoints: [...record.sandbox.endpoints, endpoint] };
    publishEndpointEvents(parts, container.id, [endpoint], 'connect');
  }
  record.endpoints = { ...record.endpoints, [name]: spec };
  parts.containers.save(container);
}

/** @throws notFound, conflict */
export async function disconnectNetwork(
  parts: Parts,
  idOrName: string,
  containerName: string,
  isForced: boolean,
): Promise<void> {
  const container = parts.containers.get(containerName);
  const controller = controllerOf(parts);
  const network = await controller.network(idOrName);
  const { name } = network.spec;
  using _turn = await parts.mutex.acquire(container.id);
  const { record } = container;
  const endpoint = record.sandbox?.endpoints.find((candidate) => candidate.networkId === network.id);
  if (record.endpoints[name] === undefined && endpoint === undefined)
    throw new BoxshipError('permissionDenied', `container ${container.id} is not connected to network ${name}`);
  if (record.sandbox !== undefined && endpoint !== undefined) {
    await controller.disconnect(record.sandbox.id, network.id, { force: isForced });
    record.sandbox = { ...record.sandbox, endpoints: record.sandbox.endpoints.filter((other) => other !== endpoint) };
    publishEndpointEvents(parts, container.id, [endpoint], 'disconnect');
  }
  const { [name]: _, ...rest } = record.endpoints;
  record.endpoints = rest;
  parts.containers.save(container);
}

export async function pruneNetworks(parts: Parts, filters: ApiFilters): Promise<NetworksPruneResponse> {
  if (parts.network === undefined) return { NetworksDeleted: null };
  const until = parseInstant(filters.get('until')?.[0] ?? '');
  const deleted: string[] = [];
  for (const network of await parts.network.listNetworks()) {
    if (predefined.has(network.spec.name) || isUsed(parts, network)) continue;
    if (until !== undefined && parseTimeNs(network.created) > until) continue;
    if (!matchesLabels(filters, network.spec.labels)) continue;
    try {
      await removeNetwork(parts, network.id);
      deleted.push(network.spec.name);
    } catch (error) {
      if (!BoxshipError.is(error, 'conflict')) throw error; // taken into use meanwhile
    }
  }
  parts.events.publish('network', 'prune', '', { reclaimed: '0' });
  return { NetworksDeleted: deleted.length === 0 ? null : deleted };
}
