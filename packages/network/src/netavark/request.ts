/** What podman tells its network program: the parts of netavark's request that have a meaning here, checked. */
import { BoxshipError } from '@boxship/base';
import type { AddressPool, EndpointSpec, NetworkSpec, PortRequest } from '../controller.ts';

export interface NetavarkNetwork {
  readonly spec: NetworkSpec;
  readonly endpoint: EndpointSpec;
  readonly interfaceName: string;
  readonly hasNames: boolean;
}

export interface NetavarkRequest {
  readonly containerId: string;
  readonly containerName: string;
  readonly ports: readonly PortRequest[];
  readonly dnsServers: readonly string[];
  /** In the order of their interfaces. */
  readonly networks: readonly NetavarkNetwork[];
}

type Json = Readonly<Record<string, unknown>>;
const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(text).filter((item) => item !== '') : []);
const number = (value: unknown): number => (typeof value === 'number' ? value : 0);

/** The networks made for podman, and by which of its ids. */
export const podmanLabel = 'io.boxship.netavark';

/** @throws invalidArgument */
export function parseRequest(input: string): NetavarkRequest {
  const request = object(JSON.parse(input));
  const containerId = text(request['container_id']);
  if (containerId === '') throw new BoxshipError('invalidArgument', 'container_id is missing');
  const infos = object(request['network_info']);
  const networks = Object.entries(object(request['networks'])).map(([name, options]) => {
    if (infos[name] === undefined) throw new BoxshipError('invalidArgument', `network_info of ${name} is missing`);
    return networkOf(object(infos[name]), object(options), text(request['container_name']));
  });
  return {
    containerId,
    containerName: text(request['container_name']),
    ports: (Array.isArray(request['port_mappings']) ? request['port_mappings'] : []).map(object).flatMap(portsOf),
    dnsServers: texts(request['dns_servers']),
    networks: networks.toSorted((a, b) => (a.interfaceName < b.interfaceName ? -1 : 1)),
  };
}

/** The search domain of podman's containers: lookups of one word come with it. */
export const searchDomain = 'dns.podman';
const withDomain = (names: readonly string[]): string[] =>
  [...new Set(names)].filter((name) => name !== '').flatMap((name) => [name, `${name}.${searchDomain}`]);

function networkOf(info: Json, options: Json, containerName: string): NetavarkNetwork {
  const [driver, device] = [text(info['driver']) || 'bridge', text(info['network_interface'])];
  const deviceKey = driver === 'bridge' ? 'com.docker.network.bridge.name' : 'parent';
  const { mtu } = object(info['options']);
  const interfaceName = text(options['interface_name']);
  const addresses = texts(options['static_ips']);
  const ipv4Address = addresses.find((address) => !address.includes(':'));
  const ipv6Address = addresses.find((address) => address.includes(':'));
  const macAddress = text(options['static_mac']);
  return {
    spec: {
      name: text(info['name']),
      driver,
      isInternal: info['internal'] === true,
      enableIPv6: info['ipv6_enabled'] === true,
      pools: (Array.isArray(info['subnets']) ? info['subnets'] : []).map(object).map(poolOf),
      options: {
        ...(device === '' ? {} : { [deviceKey]: device }),
        ...(mtu === undefined ? {} : { 'com.docker.network.driver.mtu': String(mtu) }),
      },
      labels: { [podmanLabel]: text(info['id']) },
    },
    endpoint: {
      network: text(info['name']),
      aliases: withDomain([containerName, ...texts(options['aliases'])]),
      driverOptions: { 'com.docker.network.endpoint.ifname': interfaceName },
      ...(ipv4Address === undefined ? {} : { ipv4Address }),
      ...(ipv6Address === undefined ? {} : { ipv6Address }),
      ...(macAddress === '' ? {} : { macAddress }),
    },
    interfaceName,
    hasNames: info['dns_enabled'] === true,
  };
}

function poolOf(subnet: Json): AddressPool {
  const gateway = text(subnet['gateway']);
  return { subnet: text(subnet['subnet']), ...(gateway === '' ? {} : { gateway }) };
}

/** `range` ports one after the other, of one or several protocols. */
function portsOf(mapping: Json): PortRequest[] {
  const protocols = (text(mapping['protocol']) || 'tcp').split(',');
  return protocols.flatMap((protocol) => {
    if (protocol !== 'tcp' && protocol !== 'udp' && protocol !== 'sctp')
      throw new BoxshipError('invalidArgument', `unknown protocol ${protocol}`);
    return Array.from({ length: Math.max(1, number(mapping['range'])) }, (_, step) => ({
      protocol,
      containerPort: number(mapping['container_port']) + step,
      hostIp: text(mapping['host_ip']),
      hostPort: number(mapping['host_port']) + step,
    }));
  });
}
