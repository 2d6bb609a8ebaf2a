/** What a create asks of each network, from NetworkMode and EndpointsConfig. */
import { isIPv4, isIPv6 } from 'node:net';
import { BoxshipError } from '@boxship/base';
import {
  apiAtLeast,
  type ContainerCreateRequest,
  type EndpointSettingsRequest,
  type HostConfig,
} from '@boxship/engine-api';
import type { EndpointSpec } from '@boxship/network';
import type { LinkRecord } from '../containers/model.ts';
import { containerOfMode } from '../containers/spec/namespaces.ts';

const bad = (message: string) => new BoxshipError('invalidArgument', message);

/** Networks that every engine has, and that refuse addresses and aliases. */
const predefined = new Set(['bridge', 'host', 'none', 'default']);

export function endpointSpec(network: string, settings: EndpointSettingsRequest): EndpointSpec {
  const { IPAMConfig, Aliases, Links, MacAddress, DriverOpts, GwPriority } = settings;
  return {
    network,
    ...(Aliases === undefined || Aliases.length === 0 ? {} : { aliases: [...Aliases] }),
    ...(Links === undefined || Links.length === 0 ? {} : { links: [...Links] }),
    ...(IPAMConfig?.IPv4Address ? { ipv4Address: IPAMConfig.IPv4Address } : {}),
    ...(IPAMConfig?.IPv6Address ? { ipv6Address: IPAMConfig.IPv6Address } : {}),
    ...(IPAMConfig?.LinkLocalIPs?.length ? { linkLocalAddresses: [...IPAMConfig.LinkLocalIPs] } : {}),
    ...(MacAddress ? { macAddress: MacAddress } : {}),
    ...(DriverOpts === undefined ? {} : { driverOptions: { ...DriverOpts } }),
    ...(GwPriority === undefined || GwPriority === 0 ? {} : { gatewayPriority: GwPriority }),
  };
}

/** @throws invalidArgument */
export function endpointSpecs(
  hostConfig: HostConfig,
  request: ContainerCreateRequest,
  apiVersion: string,
  links: readonly LinkRecord[],
): EndpointSpec[] {
  const mode = hostConfig.NetworkMode;
  if (containerOfMode(mode) !== undefined) return [];
  const asked = Object.entries(request.NetworkingConfig?.EndpointsConfig ?? {}).map(
    ([name, settings]) => [name === 'default' ? 'bridge' : name, settings] as const,
  );
  if (asked.length > 1 && !apiAtLeast(apiVersion, '1.44'))
    throw bad(`Container cannot be created with multiple network endpoints: ${asked.map(([name]) => name).join(', ')}`);
  if (mode === 'host' || mode === 'none') return [{ network: mode }];
  const specs = new Map(asked.map(([name, settings]) => [name, endpointSpec(name, settings)]));
  const main = specs.get(mode) ?? { network: mode };
  const mac = request.MacAddress ?? '';
  specs.set(mode, mac === '' || main.macAddress !== undefined ? main : { ...main, macAddress: mac });
  if (mode === 'bridge' && links.length > 0)
    specs.set(mode, { ...specs.get(mode), network: mode, links: links.map(({ id, alias }) => `${id}:${alias}`) });
  for (const [name, spec] of specs) checkSpec(name, spec);
  // the main network comes first: its interface is eth0
  return [...specs.values()].sort((a, b) => Number(b.network === mode) - Number(a.network === mode));
}

/** @throws invalidArgument in Docker's words */
export function checkSpec(name: string, spec: EndpointSpec): void {
  // the lowest bit of the first byte marks a group of stations: no interface can have such an address
  if (spec.macAddress !== undefined && Number.parseInt(spec.macAddress.slice(0, 2), 16) & 1)
    throw bad(`invalid MAC address: ${spec.macAddress} is a multicast address`);
  if (spec.ipv4Address !== undefined && !isIPv4(spec.ipv4Address))
    throw bad(`invalid IPv4 address: ${spec.ipv4Address}`);
  if (spec.ipv6Address !== undefined && !isIPv6(spec.ipv6Address))
    throw bad(`invalid IPv6 address: ${spec.ipv6Address}`);
  if (!predefined.has(name)) return;
  if ((spec.aliases ?? []).length > 0)
    throw bad('network-scoped alias is supported only for containers in user defined networks');
  if (spec.ipv4Address !== undefined || spec.ipv6Address !== undefined)
    throw bad('user specified IP address is supported on user defined networks only');
}
