/**
 * The contract's objects as messages of `boxship.network.v1` and back. Shared by the two edge files, so that both directions
 * agree on what an empty field means: "not given".
 */
import type { network as wire } from '@boxship/api';
import { BoxshipError } from '@boxship/base';
import type {
  AddressPool,
  Endpoint,
  EndpointSpec,
  Network,
  NetworkSpec,
  PortRequest,
  PublishedPort,
  Sandbox,
  SandboxSpec,
} from '../controller.ts';
import { completeSpec } from '../network-spec.ts';

/** The properties whose value says something: neither undefined nor empty text. */
function given<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined && value !== '')) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw new BoxshipError('invalidArgument', `${field} is missing`);
  return value;
}

export function networkSpecToWire(spec: NetworkSpec): wire.NetworkSpec {
  const { enableIPv4, enableIPv6, pools, ipamOptions, options, labels, ...rest } = completeSpec(spec);
  return {
    ...rest,
    enableIpv4: enableIPv4,
    enableIpv6: enableIPv6,
    ipamOptions: { ...ipamOptions },
    options: { ...options },
    labels: { ...labels },
    pools: pools.map((pool) => ({
      subnet: pool.subnet ?? '',
      ipRange: pool.ipRange ?? '',
      gateway: pool.gateway ?? '',
      auxAddresses: { ...pool.auxAddresses },
      isChosen: pool.isChosen ?? false,
    })),
  };
}

export function networkSpecFromWire(spec: wire.NetworkSpec): Required<NetworkSpec> {
  const { enableIpv4, enableIpv6, pools, ...rest } = spec;
  return { ...rest, enableIPv4: enableIpv4, enableIPv6: enableIpv6, pools: pools.map(poolFromWire) };
}

function poolFromWire(pool: wire.Pool): AddressPool {
  const { auxAddresses, isChosen, ...rest } = pool;
  return {
    ...given(rest),
    ...(Object.keys(auxAddresses).length === 0 ? {} : { auxAddresses }),
    ...(isChosen ? { isChosen } : {}),
  };
}

export const networkToWire = (network: Network): wire.Network => ({
  id: network.id,
  created: network.created,
  spec: networkSpecToWire(network.spec),
});

export const networkFromWire = (network: wire.Network): Network => ({
  id: network.id,
  created: network.created,
  spec: networkSpecFromWire(required(network.spec, 'network.spec')),
});

export function endpointSpecToWire(spec: EndpointSpec): wire.EndpointSpec {
  return {
    network: spec.network,
    aliases: [...(spec.aliases ?? [])],
    links: [...(spec.links ?? [])],
    ipv4Address: spec.ipv4Address ?? '',
    ipv6Address: spec.ipv6Address ?? '',
    macAddress: spec.macAddress ?? '',
    driverOptions: { ...spec.driverOptions },
    gatewayPriority: spec.gatewayPriority ?? 0,
    linkLocalAddresses: [...(spec.linkLocalAddresses ?? [])],
  };
}

export function endpointSpecFromWire(spec: wire.EndpointSpec): EndpointSpec {
  const { network, aliases, links, driverOptions, gatewayPriority, linkLocalAddresses, ...addresses } = spec;
  return {
    network,
    ...(aliases.length > 0 ? { aliases } : {}),
    ...(links.length > 0 ? { links } : {}),
    ...(linkLocalAddresses.length > 0 ? { linkLocalAddresses } : {}),
    ...(Object.keys(driverOptions).length > 0 ? { driverOptions } : {}),
    ...(gatewayPriority === 0 ? {} : { gatewayPriority }),
    ...given(addresses),
  };
}

export const endpointToWire = (endpoint: Endpoint): wire.Endpoint => ({
  ...endpoint,
  dnsNames: [...endpoint.dnsNames],
  spec: endpointSpecToWire(endpoint.spec),
});

export const endpointFromWire = (endpoint: wire.Endpoint): Endpoint => ({
  ...endpoint,
  spec: endpointSpecFromWire(required(endpoint.spec, 'endpoint.spec')),
});

function protocolFromWire(protocol: string): PortRequest['protocol'] {
  if (protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp') return protocol;
  throw new BoxshipError('invalidArgument', `invalid proto: ${protocol}`);
}

export function sandboxSpecToWire(spec: SandboxSpec): wire.SandboxSpec {
  return {
    id: spec.id,
    containerName: spec.containerName,
    hostname: spec.hostname,
    domainname: spec.domainname,
    files:
      spec.files === undefined
        ? undefined
        : { hostsPath: spec.files.hostsPath ?? '', resolvConfPath: spec.files.resolvConfPath ?? '' },
    dns:
      spec.dns === undefined
        ? undefined
        : {
            servers: [...(spec.dns.servers ?? [])],
            search: [...(spec.dns.search ?? [])],
            options: [...(spec.dns.options ?? [])],
          },
    extraHosts: [...(spec.extraHosts ?? [])],
    endpoints: spec.endpoints.map(endpointSpecToWire),
    ports: (spec.ports ?? []).map(portRequestToWire),
    useHostNamespace: spec.useHostNamespace ?? false,
    joinNamespace: spec.joinNamespace ?? '',
    arePortsHeld: spec.arePortsHeld ?? false,
  };
}

export function sandboxSpecFromWire(spec: wire.SandboxSpec): SandboxSpec {
  return {
    id: spec.id,
    containerName: spec.containerName,
    hostname: spec.hostname,
    domainname: spec.domainname,
    ...(spec.files === undefined ? {} : { files: given(spec.files) }),
    ...(spec.dns === undefined ? {} : { dns: spec.dns }),
    ...(spec.extraHosts.length > 0 ? { extraHosts: spec.extraHosts } : {}),
    endpoints: spec.endpoints.map(endpointSpecFromWire),
    ...(spec.ports.length > 0 ? { ports: spec.ports.map(portRequestFromWire) } : {}),
    ...(spec.useHostNamespace ? { useHostNamespace: true } : {}),
    ...(spec.arePortsHeld ? { arePortsHeld: true } : {}),
    ...(spec.joinNamespace === '' ? {} : { joinNamespace: spec.joinNamespace }),
  };
}

export const portRequestToWire = (port: PortRequest): wire.PortRequest => ({
  ...port,
  hostPortEnd: port.hostPortEnd ?? 0,
});

export function portRequestFromWire(port: wire.PortRequest): PortRequest {
  const { hostPortEnd, protocol, ...rest } = port;
  return { ...rest, protocol: protocolFromWire(protocol), ...(hostPortEnd === 0 ? {} : { hostPortEnd }) };
}

export const publishedPortFromWire = (port: wire.PublishedPort): PublishedPort => ({
  ...port,
  protocol: protocolFromWire(port.protocol),
});

export const sandboxToWire = (sandbox: Sandbox): wire.Sandbox => ({
  id: sandbox.id,
  namespacePath: sandbox.namespacePath,
  endpoints: sandbox.endpoints.map(endpointToWire),
  ports: sandbox.ports.map((port) => ({ ...port })),
  spec: sandboxSpecToWire(sandbox.spec),
});

export const sandboxFromWire = (sandbox: wire.Sandbox): Sandbox => ({
  id: sandbox.id,
  namespacePath: sandbox.namespacePath,
  endpoints: sandbox.endpoints.map(endpointFromWire),
  ports: sandbox.ports.map(publishedPortFromWire),
  spec: sandboxSpecFromWire(required(sandbox.spec, 'sandbox.spec')),
});
