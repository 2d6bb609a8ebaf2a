/** A network as the API shows it. Key order is the wire's. */
import { apiAtLeast, type NetworkContainer, type NetworkResource } from '@boxship/engine-api';
import type { Network } from '@boxship/network';
import type { Parts } from '../parts.ts';

export function networkResource(
  parts: Parts,
  network: Network,
  apiVersion: string,
  hasContainers: boolean,
): NetworkResource {
  const { spec } = network;
  const isPlain = (spec.driver === 'host' || spec.driver === 'null') && !spec.isConfigOnly;
  const isDefaultBridge = spec.options['com.docker.network.bridge.default_bridge'] === 'true';
  const pools = spec.pools.map((pool) => ({
    ...(pool.subnet === undefined ? {} : { Subnet: pool.subnet }),
    ...(pool.ipRange === undefined || pool.ipRange === '' ? {} : { IPRange: pool.ipRange }),
    ...(pool.gateway === undefined || pool.gateway === '' ? {} : { Gateway: pool.gateway }),
    ...(pool.auxAddresses === undefined || Object.keys(pool.auxAddresses).length === 0
      ? {}
      : { AuxiliaryAddresses: { ...pool.auxAddresses } }),
  }));
  return {
    Name: spec.name,
    Id: network.id,
    Created: network.created,
    Scope: scopeOf(network),
    Driver: spec.driver,
    ...(apiAtLeast(apiVersion, '1.48') ? { EnableIPv4: spec.enableIPv4 } : {}),
    EnableIPv6: spec.enableIPv6,
    IPAM: {
      Driver: spec.ipamDriver === '' ? 'default' : spec.ipamDriver,
      Options: isPlain || isDefaultBridge ? null : { ...spec.ipamOptions },
      Config: isPlain && apiAtLeast(apiVersion, '1.42') ? null : pools,
    },
    Internal: spec.isInternal,
    Attachable: spec.isAttachable,
    Ingress: spec.isIngress,
    ConfigFrom: { Network: spec.configFrom },
    ConfigOnly: spec.isConfigOnly,
    Containers: hasContainers ? containersOf(parts, network) : {},
    Options: { ...spec.options },
    Labels: { ...spec.labels },
  };
}

/** Docker's word for networks that several engines have in common by a store. */
export const scopeOf = ({ spec }: Network): 'local' | 'global' =>
  spec.driver === 'overlay' && !spec.isConfigOnly ? 'global' : 'local';

function containersOf(parts: Parts, network: Network): Record<string, NetworkContainer> {
  const containers: Record<string, NetworkContainer> = {};
  for (const container of parts.containers.list())
    for (const endpoint of container.record.sandbox?.endpoints ?? [])
      if (endpoint.networkId === network.id)
        containers[container.id] = {
          Name: container.record.name,
          EndpointID: endpoint.id,
          MacAddress: endpoint.macAddress,
          IPv4Address: endpoint.ipv4Address === '' ? '' : `${endpoint.ipv4Address}/${endpoint.ipv4PrefixLength}`,
          IPv6Address: endpoint.ipv6Address === '' ? '' : `${endpoint.ipv6Address}/${endpoint.ipv6PrefixLength}`,
        };
  return containers;
}
