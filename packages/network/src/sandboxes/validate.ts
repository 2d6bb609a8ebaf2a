/** Checks of what comes from outside before it reaches files and the kernel, and Docker's rules of what can be combined. */
import { isIP } from 'node:net';
import { BoxshipError } from '@boxship/base';
import { macToBytes } from '@boxship/linux';
import type { Context } from '../context.ts';
import type { EndpointSpec, Network, PortRequest, SandboxSpec } from '../controller.ts';
import { hostsName, parseExtraHost } from '../files/extra-host.ts';
import { interfaceSysctls, wantedInterfaceName } from './endpoint-options.ts';

const hostname = /^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*[a-zA-Z0-9_])?\.?$/;

/** @throws invalidArgument, notFound */
export function validateSandbox(context: Context, spec: SandboxSpec): { endpoint: EndpointSpec; network: Network }[] {
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/.test(spec.id))
    throw new BoxshipError('invalidArgument', `invalid sandbox id "${spec.id}"`);
  for (const name of [spec.hostname, spec.domainname])
    if (name !== '' && (!hostname.test(name) || name.length > 253))
      throw new BoxshipError('invalidArgument', `invalid hostname "${name}"`);
  for (const entry of spec.extraHosts ?? []) parseExtraHost(entry);
  for (const server of spec.dns?.servers ?? [])
    if (isIP(server.split('%')[0] ?? '') === 0)
      throw new BoxshipError('invalidArgument', `invalid IP address: ${server}`);
  for (const word of [...(spec.dns?.search ?? []), ...(spec.dns?.options ?? [])])
    if (/[\s#;]/.test(word) || word === '') throw new BoxshipError('invalidArgument', `invalid DNS setting "${word}"`);
  validatePorts(spec.ports ?? []);
  const joined = spec.endpoints.map((endpoint) => ({ endpoint, network: context.state.network(endpoint.network) }));
  for (const { endpoint, network } of joined) validateEndpoint(endpoint, network);
  validateCombination(joined.map(({ network }) => network));
  return joined;
}

/** @throws invalidArgument */
export function validatePorts(ports: readonly PortRequest[]): void {
  for (const port of ports) {
    const isPort = (number: number): boolean => Number.isInteger(number) && number >= 0 && number <= 65_535;
    if (
      !isPort(port.containerPort) ||
      port.containerPort === 0 ||
      !isPort(port.hostPort) ||
      !isPort(port.hostPortEnd ?? 0)
    )
      throw new BoxshipError(
        'invalidArgument',
        `invalid port in ${port.hostIp}:${port.hostPort}:${port.containerPort}/${port.protocol}`,
      );
    if (port.hostIp !== '' && isIP(port.hostIp) === 0)
      throw new BoxshipError('invalidArgument', `invalid IP address: ${port.hostIp}`);
  }
}

/** @throws invalidArgument with Docker's texts */
export function validateEndpoint(endpoint: EndpointSpec, network: Network): void {
  validateAddresses(endpoint, network);
  if (endpoint.macAddress) macToBytes(endpoint.macAddress);
  for (const address of endpoint.linkLocalAddresses ?? [])
    if (isIP(address) === 0) throw new BoxshipError('invalidArgument', `invalid link-local IP address: ${address}`);
  const name = wantedInterfaceName(endpoint) ?? 'eth0';
  interfaceSysctls(endpoint, name);
  for (const alias of endpoint.aliases ?? [])
    if (!hostsName.test(alias)) throw new BoxshipError('invalidArgument', `invalid network alias "${alias}"`);
  for (const link of endpoint.links ?? [])
    if (!link.split(':').every((part) => hostsName.test(part)))
      throw new BoxshipError('invalidArgument', `invalid link "${link}"`);
}

function validateAddresses(endpoint: EndpointSpec, { spec }: Network): void {
  const addresses = [endpoint.ipv4Address ?? '', endpoint.ipv6Address ?? ''].filter((address) => address !== '');
  if (addresses.length === 0) return;
  const bad = (text: string) => new BoxshipError('invalidArgument', text);
  if (['bridge', 'host', 'none'].includes(spec.name))
    throw bad('user specified IP address is supported on user defined networks only');
  for (const address of addresses) {
    const family = isIP(address);
    if (family === 0) throw bad(`invalid IP address: ${address}`);
    const isConfigured = spec.pools.some(
      ({ subnet, isChosen }) => isChosen !== true && subnet?.includes(':') === (family === 6),
    );
    if (!isConfigured)
      throw bad('user specified IP address is supported only when connecting to networks with user configured subnets');
  }
}

/** @throws invalidArgument with Docker's texts */
export function validateCombination(networks: readonly Network[]): void {
  const ids = new Set(networks.map(({ id }) => id));
  if (ids.size < networks.length) throw new BoxshipError('invalidArgument', 'a container joins each network once');
  if (networks.length < 2) return;
  if (networks.some(({ spec }) => spec.driver === 'null'))
    throw new BoxshipError(
      'invalidArgument',
      'container cannot be connected to multiple networks with one of the networks in private (none) mode',
    );
  if (networks.some(({ spec }) => spec.driver === 'host'))
    throw new BoxshipError(
      'invalidArgument',
      'container cannot be disconnected from host network or connected to host network',
    );
}
