/** NetworkSettings of inspect and list, from what was asked and what the sandbox has. */
import { shortId } from '@boxship/base';
import { apiAtLeast, type EndpointSettings, type NetworkSettings, type PublishedPort } from '@boxship/engine-api';
import type { Endpoint, EndpointSpec } from '@boxship/network';
import type { ContainerRecord } from '../containers/model.ts';
import { parsePortSpec } from '../containers/ports.ts';
import { containerOfMode } from '../containers/spec/namespaces.ts';

export function endpointSettings(
  spec: EndpointSpec,
  endpoint: Endpoint | undefined,
  networkId: string,
  apiVersion: string,
): EndpointSettings {
  const ipam = {
    ...(spec.ipv4Address === undefined ? {} : { IPv4Address: spec.ipv4Address }),
    ...(spec.ipv6Address === undefined ? {} : { IPv6Address: spec.ipv6Address }),
    ...(spec.linkLocalAddresses === undefined ? {} : { LinkLocalIPs: [...spec.linkLocalAddresses] }),
  };
  return {
    IPAMConfig: Object.keys(ipam).length === 0 ? null : ipam,
    // those of the default bridge are told in HostConfig
    Links: spec.links === undefined || spec.network === 'bridge' ? null : [...spec.links],
    Aliases: spec.aliases === undefined ? null : [...spec.aliases],
    MacAddress: endpoint?.macAddress ?? spec.macAddress ?? '',
    DriverOpts: spec.driverOptions === undefined ? null : { ...spec.driverOptions },
    ...(apiAtLeast(apiVersion, '1.48') ? { GwPriority: spec.gatewayPriority ?? 0 } : {}),
    NetworkID: endpoint?.networkId ?? networkId,
    EndpointID: endpoint?.id ?? '',
    Gateway: endpoint?.ipv4Gateway ?? '',
    IPAddress: endpoint?.ipv4Address ?? '',
    IPPrefixLen: endpoint?.ipv4PrefixLength ?? 0,
    IPv6Gateway: endpoint?.ipv6Gateway ?? '',
    GlobalIPv6Address: endpoint?.ipv6Address ?? '',
    GlobalIPv6PrefixLen: endpoint?.ipv6PrefixLength ?? 0,
    ...(apiAtLeast(apiVersion, '1.44')
      ? {
          DNSNames:
            endpoint === undefined || endpoint.dnsNames.length === 0 || spec.network === 'bridge'
              ? null
              : [...endpoint.dnsNames],
        }
      : {}),
  };
}

const predefined = new Set(['bridge', 'host', 'none']);

export function endpointsOf(record: ContainerRecord, apiVersion: string): Record<string, EndpointSettings> {
  const networks: Record<string, EndpointSettings> = {};
  for (const [name, spec] of Object.entries(record.endpoints)) {
    const endpoint = record.sandbox?.endpoints.find((candidate) => candidate.networkName === name);
    const settings = endpointSettings(spec, endpoint, '', apiVersion);
    // until 1.45 the short id was listed among the aliases
    if (!predefined.has(name) && endpoint !== undefined && !apiAtLeast(apiVersion, '1.45'))
      settings.Aliases = [...(settings.Aliases ?? []), shortId(record.id)];
    networks[name] = settings;
  }
  return networks;
}

/** Exposed ports with where they are published; an unpublished one is null, a stopped container has none. */
export function portMap(record: ContainerRecord): Record<string, PublishedPort[] | null> {
  const { sandbox } = record;
  if (sandbox === undefined) return {};
  const map: Record<string, PublishedPort[] | null> = {};
  for (const spec of Object.keys(record.config.ExposedPorts ?? {}))
    for (const { port, protocol } of parsePortSpec(spec)) map[`${port}/${protocol}`] = null;
  for (const port of sandbox.ports) {
    const key = `${port.containerPort}/${port.protocol}`;
    const list = map[key] ?? [];
    list.push({ HostIp: port.hostIp, HostPort: String(port.hostPort) });
    map[key] = list;
  }
  return map;
}

/** Key order is the wire's. */
export function networkSettings(record: ContainerRecord, apiVersion: string): NetworkSettings {
  const { sandbox } = record;
  const networks = endpointsOf(record, apiVersion);
  // the copies at the top describe the default bridge only
  const main = networks['bridge'];
  const isJoined = containerOfMode(record.hostConfig.NetworkMode) !== undefined;
  return {
    Bridge: '',
    SandboxID: sandbox?.id ?? '',
    SandboxKey: sandbox?.namespacePath ?? '',
    Ports: portMap(record),
    HairpinMode: false,
    LinkLocalIPv6Address: '',
    LinkLocalIPv6PrefixLen: 0,
    SecondaryIPAddresses: null,
    SecondaryIPv6Addresses: null,
    EndpointID: main?.EndpointID ?? '',
    Gateway: main?.Gateway ?? '',
    GlobalIPv6Address: main?.GlobalIPv6Address ?? '',
    GlobalIPv6PrefixLen: main?.GlobalIPv6PrefixLen ?? 0,
    IPAddress: main?.IPAddress ?? '',
    IPPrefixLen: main?.IPPrefixLen ?? 0,
    IPv6Gateway: main?.IPv6Gateway ?? '',
    MacAddress: main?.MacAddress ?? '',
    Networks: isJoined ? {} : networks,
  };
}
