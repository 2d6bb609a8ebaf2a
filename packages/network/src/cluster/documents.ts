/**
 * What the engines of a cluster tell each other, and under which keys:
 *
 *   networks/ID           a network as it was made (JSON); until it is removed
 *   addresses/ID/ADDRESS  the engine that holds an address of the network; until that engine gives it back, however long it is away
 *   endpoints/ID/ADDRESS  who is there (JSON): names, MAC, host; under the lease of its engine
 *   hosts/ENGINE          an engine that is there: its address; under its lease
 *
 * An address has one owner at any time, as only a transaction that finds it free takes it. The end of a lease takes away names,
 * which nobody should look up any more, but not addresses: an engine that is cut off may still run the containers that have them.
 */
import { isIP, isIPv4 } from 'node:net';
import { BoxshipError } from '@boxship/base';
import type { Endpoint, Network } from '../controller.ts';

export const keys = {
  networks: 'networks/',
  network: (id: string) => `networks/${id}`,
  addressesOf: (network: string) => `addresses/${network}/`,
  address: (network: string, address: string) => `addresses/${network}/${address}`,
  endpointsOf: (network: string) => `endpoints/${network}/`,
  endpoint: (network: string, address: string) => `endpoints/${network}/${address}`,
  host: (engine: string) => `hosts/${engine}`,
} as const;

/** A container of a network, as its engine tells the others. */
export interface Peer {
  readonly engine: string;
  /** Address of its host, at which tunnels end. */
  readonly host: string;
  readonly names: readonly string[];
  readonly ipv4Address: string;
  readonly ipv6Address: string;
  readonly macAddress: string;
}

/** The address that stands for an endpoint in keys. */
export const mainAddress = ({ ipv4Address, ipv6Address }: Pick<Endpoint, 'ipv4Address' | 'ipv6Address'>): string =>
  ipv4Address || ipv6Address;

/** @throws invalidArgument: what comes from the store reaches the kernel */
export function parsePeer(text: string): Peer {
  const { engine, host, names, ipv4Address, ipv6Address, macAddress } = parseObject(text);
  if (
    typeof engine !== 'string' ||
    !isIPv4(String(host)) ||
    !Array.isArray(names) ||
    !names.every((name) => typeof name === 'string') ||
    !isAddressOrEmpty(ipv4Address, 4) ||
    !isAddressOrEmpty(ipv6Address, 6) ||
    !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(String(macAddress))
  )
    throw new BoxshipError('invalidArgument', `not an endpoint: ${text}`);
  return {
    engine,
    host: String(host),
    names: names as string[],
    ipv4Address,
    ipv6Address,
    macAddress: String(macAddress),
  };
}

const isAddressOrEmpty = (value: unknown, family: 4 | 6): value is string =>
  value === '' || (typeof value === 'string' && isIP(value) === family);

/** @throws invalidArgument */
export function parseNetwork(id: string, text: string): Network {
  const network = parseObject(text) as unknown as Network;
  const { spec } = network;
  if (network.id !== id || !/^[0-9a-f]{64}$/.test(id) || typeof spec?.name !== 'string' || spec.driver !== 'overlay')
    throw new BoxshipError('invalidArgument', `not a network: ${text}`);
  return network;
}

function parseObject(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null) throw new BoxshipError('invalidArgument', `not an object: ${text}`);
  return value as Record<string, unknown>;
}
